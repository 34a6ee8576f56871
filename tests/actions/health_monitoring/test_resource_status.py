"""The check that counts what there is."""

from pydantic import SecretStr

from app.actions.health_monitoring.check import CheckStatus
from app.actions.health_monitoring.resource_status import look_at_resources
from app.database import Database
from app.models import PendingExecution
from app.models.states import ProgramStatus
from app.settings import DatabaseSettings
from tests.stores.rows import (
    IDS,
    a_lane,
    a_program,
    a_running_batch,
    a_signature,
    an_ending,
    an_execution,
    ended,
)
from tests.support.health import health_tools


async def test_everything_is_counted_by_the_database(database: Database) -> None:
    """Items of batches too, as executions that wait, run or have been made lately."""
    async with database.transaction() as tx:
        await a_signature(tx)
        program = await a_program(tx)
        await a_program(tx)
        assert await tx.programs.mark(program.id, ProgramStatus.INITIALIZING)
        assert await tx.programs.mark(program.id, ProgramStatus.READY)
        await an_execution(tx)
        await ended(tx, an_ending())
        tx.programs._session.add(PendingExecution(id=IDS.new(), is_suspect=False))
        lane = await a_lane(tx, await a_running_batch(tx, 5))
        assert await tx.lanes.claim(lane, 2)
    finding = await look_at_resources(health_tools(database))
    assert (finding.status, finding.error) == (CheckStatus.HEALTHY, None)
    assert finding.result == {
        "resource_checks": {
            "signatures": {"count": 3},
            "programs": {"total_count": 2, "ready_count": 1},
            "executions": {"recent_count": 7, "pending": 4, "running": 3},
        },
        "failed_resources": [],
    }


async def test_nothing_is_counted_as_nothing(database: Database) -> None:
    """An empty database is in order."""
    finding = await look_at_resources(health_tools(database))
    assert finding.result == {
        "resource_checks": {
            "signatures": {"count": 0},
            "programs": {"total_count": 0, "ready_count": 0},
            "executions": {"recent_count": 0, "pending": 0, "running": 0},
        },
        "failed_resources": [],
    }


async def test_what_cannot_be_counted_is_named() -> None:
    """It is an error of the check."""
    url = SecretStr("postgresql://nobody@127.0.0.1:1/nothing")
    away = Database.connect(DatabaseSettings(url=url))
    finding = await look_at_resources(health_tools(away))
    assert finding.status is CheckStatus.ERROR
    assert finding.error == "could not be counted: signatures, programs, executions"
    assert finding.result == {
        "resource_checks": {},
        "failed_resources": ["signatures", "programs", "executions"],
    }
    await away.close()
