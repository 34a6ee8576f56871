"""Answers that are given again."""

import asyncio

from app.actions.execution_replaying import WAIT_S, ExecutionReplaying
from app.actions.execution_waiting import ExecutionEnds, ExecutionWaiting
from app.database import Database
from app.models.idempotency_keys import Claim
from tests.support.clock import ManualClock
from tests.support.factories import a_program, an_execution
from tests.support.wait import wait_until

CLAIM = Claim(b"key", b"request")


async def test_a_long_execution_is_waited_for_to_its_end(database: Database) -> None:
    """Longer than a client of `wait_ms` may wait."""
    clock = ManualClock()
    waiting = ExecutionWaiting(database, ExecutionEnds(clock), clock)
    execution = await an_execution(database, await a_program(database))
    async with database.transaction() as tx:
        await tx.idempotency_keys.claim(CLAIM, execution.id)
        kept = await tx.idempotency_keys.find(CLAIM)
    assert kept is not None
    replay = asyncio.create_task(ExecutionReplaying(database, waiting)(kept))
    await wait_until(lambda: clock.monotonic() > WAIT_S)
    assert not replay.done()
    async with database.transaction() as tx:
        await tx.executions.finish(execution.id, {"status": "completed", "outcome": "success"})
    assert (await replay).id == execution.id
