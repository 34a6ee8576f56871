"""How executions come back into the queue: with what was lost, and not for ever."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from app.adapters.errors import AdapterError, ErrorType
from app.database import Database
from app.models.ids import first_id
from app.processes.returning import give_back
from tests.stores.rows import a_program
from tests.stores.test_pending_executions import a_pending, read

OWNER = uuid4()
CRASH = AdapterError(ErrorType.WORKER_CRASHED, "The process that ran it has died.")
STOP = AdapterError(ErrorType.CANCELLED, "The process that ran it was stopped.")


async def crash(database: Database, why: AdapterError = CRASH) -> int:
    """Claim all that waits, and have its process die; tell how many are poison."""
    async with database.transaction() as tx:
        claimed = await tx.pending_executions.claim(OWNER, 9)
        for execution in claimed.executions if claimed.has_suspect else ():
            await tx.pending_executions.start(execution)
    async with database.transaction() as tx:
        held = await tx.pending_executions.hold_lost({OWNER}, first_id(0), 9)
        return len(await give_back(tx, held, why))


async def test_the_lost_attempt_is_recorded(database: Database) -> None:
    """With the adapter that the program's revision names, its start, its time and its end."""
    async with database.transaction() as tx:
        program = await a_program(tx, adapter="scripted")
        execution_id = await a_pending(tx, program_id=program.id)
    assert await crash(database) == 0
    (attempt,) = (await read(database, execution_id)).attempts
    assert attempt["adapter"] == "scripted"
    assert attempt["duration_ms"] >= 0
    assert attempt["error"] == CRASH.as_document()
    assert attempt["started_at"].endswith("Z")
    started = datetime.fromisoformat(attempt["started_at"])
    assert abs((datetime.now(UTC) - started).total_seconds()) < 60


async def test_three_crashes_end_an_execution(database: Database) -> None:
    """The second makes it a suspect; after the third it is failed, and not run again."""
    async with database.transaction() as tx:
        execution_id = await a_pending(tx)
    found: list[Any] = []
    for poison in (0, 0, 1):
        assert await crash(database) == poison
        record = await read(database, execution_id)
        async with database.transaction() as tx:
            waiting = await tx.pending_executions.count()
        found.append((record.status, len(record.attempts), waiting))
    assert found == [("pending", 1, 1), ("pending", 2, 1), ("failed", 3, 0)]
    record = await read(database, execution_id)
    assert record.outcome == "execution_error"
    assert record.error is not None
    assert record.error["type"] == "worker_crashed"
    assert record.error["message"].startswith("3 processes that ran it have died")
    assert record.duration_ms is not None


async def test_being_stopped_is_no_crash(database: Database) -> None:
    """However often the processes that run it are restarted."""
    async with database.transaction() as tx:
        execution_id = await a_pending(tx)
    for _ in range(4):
        assert await crash(database, STOP) == 0
    record = await read(database, execution_id)
    assert (record.status, len(record.attempts)) == ("pending", 4)
    async with database.transaction() as tx:
        assert not (await tx.pending_executions.claim(OWNER, 1)).has_suspect


@pytest.mark.parametrize("count", [2, 3])
async def test_neighbours_are_not_blamed(database: Database, count: int) -> None:
    """After two crashes in company each runs alone: the third crash has one to blame."""
    async with database.transaction() as tx:
        ids = [await a_pending(tx) for _ in range(count)]
    for poison in (0, 0, 1):
        assert await crash(database) == poison
    statuses = [(await read(database, one)).status for one in ids]
    assert statuses == ["failed", *["pending"] * (count - 1)]
