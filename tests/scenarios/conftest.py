"""What the scenarios share."""

import pytest

from app.database import Database


@pytest.fixture
def environment(database_url: str, database: Database) -> dict[str, str]:  # noqa: ARG001 - emptied after us
    """Variables of a server on this worker's database, without keys."""
    return {"DSPATCH_DATABASE__URL": database_url, "DSPATCH_AUTH__MODE": "none"}
