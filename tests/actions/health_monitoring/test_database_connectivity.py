"""The check of the database's answer."""

import re

from pydantic import SecretStr

from app.actions.health_monitoring.check import CheckStatus
from app.actions.health_monitoring.database_connectivity import look_at_database
from app.database import Database
from app.settings import DatabaseSettings
from tests.support.health import health_tools


async def test_a_database_that_answers_is_connected(database: Database) -> None:
    """With its version, and the pool that requests share."""
    pool = {"checked_out": 3, "idle": 1, "unopened": 6}
    finding = await look_at_database(health_tools(database, pool=lambda: pool, waiting=lambda: 2))
    assert finding.status is CheckStatus.HEALTHY
    assert finding.result is not None
    version = finding.result["server_version"]
    assert re.match(r"\d+\.\d+", version)
    assert finding.result == {
        "status": "connected",
        "latency_ms": 0.0,
        "pool": {"size": 10, "checked_out": 3, "waiting": 2},
        "server_version": version,
    }


async def test_a_database_that_does_not_answer_is_an_error() -> None:
    """The pool is told all the same."""
    url = SecretStr("postgresql://nobody@127.0.0.1:1/nothing")
    away = Database.connect(DatabaseSettings(url=url, pool_size=7))
    finding = await look_at_database(health_tools(away))
    assert (finding.status, finding.error) == (CheckStatus.ERROR, "The database does not answer.")
    assert finding.result == {
        "status": "unavailable",
        "latency_ms": None,
        "pool": {"size": 7, "checked_out": 0, "waiting": 0},
        "server_version": None,
    }
    await away.close()
