"""The check of connections for all processes."""

import pytest

from app.actions.health_monitoring.check import CheckStatus
from app.actions.health_monitoring.database_connections import look_at_connections
from app.database import Database
from tests.stores.rows import a_process
from tests.support.health import health_tools


@pytest.mark.parametrize(
    ("part", "status", "words"),
    [
        (0.2, CheckStatus.HEALTHY, None),
        (0.4, CheckStatus.WARNING, "2 processes and one more open up to"),
        (1.2, CheckStatus.ERROR, "one process opens up to"),
    ],
)
async def test_processes_need_no_more_than_there_are(
    database: Database, part: float, status: CheckStatus, words: str | None
) -> None:
    """For one more than live: while one is replaced by another, both are there."""
    async with database.transaction() as tx:
        available = (await tx.connections.count()).available
        await a_process(tx)
        await a_process(tx)
        await a_process(tx, ended_s=1)
    one = round(available * part)
    per_process = {"requests": one - 1, "heartbeat": 1}
    finding = await look_at_connections(health_tools(database), per_process)
    assert finding.status is status
    assert finding.result is not None
    assert {**finding.result, "in_use": None} == {
        "available": available,
        "in_use": None,
        "per_process": per_process,
        "per_process_total": one,
        "live_processes": 2,
        "needed": 2 * one,
    }
    assert (finding.error or "").startswith(words or "")
    assert (finding.error is None) is (words is None)
