"""What the scenarios share."""

import pytest

from app.database import Database


@pytest.fixture
def environment(database_url: str, database: Database) -> dict[str, str]:  # noqa: ARG001 - emptied after us
    """Variables of a server on this worker's database, without keys."""
    return {"DSPATCH_DATABASE__URL": database_url, "DSPATCH_AUTH__MODE": "none"}


@pytest.fixture
def quick(environment: dict[str, str]) -> dict[str, str]:
    """The same, with a lease of three seconds: what takes 20 s in production takes four."""
    return environment | {
        "DSPATCH_PROCESSES__HEARTBEAT_MS": "500",
        "DSPATCH_PROCESSES__LEASE_MS": "3000",
        "DSPATCH_PROCESSES__SWEEP_MS": "300",
    }
