"""What the scenarios share."""

from pathlib import Path

import pytest

from app.database import Database

HERE = Path(__file__).parent
BUSY_S = 300
"""A test that takes ten seconds by itself may take this long beside others on a busy machine."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give scenarios without a time limit of their own the time that a busy machine needs."""
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(BUSY_S))


@pytest.fixture
def environment(database_url: str, database: Database) -> dict[str, str]:  # noqa: ARG001 - emptied after us
    """Variables of a server on this worker's database, without keys."""
    return {"DSPATCH_DATABASE__URL": database_url, "DSPATCH_AUTH__MODE": "none"}


@pytest.fixture
def quick(environment: dict[str, str]) -> dict[str, str]:
    """The same, with a short lease: what takes 20 s in production takes seven.

    It is long enough for a server that starts beside others on a busy machine to be heard of.
    """
    return environment | {
        "DSPATCH_PROCESSES__HEARTBEAT_MS": "500",
        "DSPATCH_PROCESSES__LEASE_MS": "6000",
        "DSPATCH_PROCESSES__SWEEP_MS": "300",
    }
