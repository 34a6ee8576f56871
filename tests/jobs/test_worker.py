"""This process's share of the work: it is taken, and left, as a whole."""

import asyncio
from random import Random
from uuid import UUID

from app.actions.program_execution.runs import Runs
from app.database import Database
from app.jobs.dispatcher import Dispatcher
from app.jobs.engine import Engine, Queue
from app.jobs.worker import Worker
from app.models import Execution
from app.models.pending_executions import QUEUE, TASK
from app.policies.clock import SystemClock
from app.settings import Settings
from tests.stores.test_pending_executions import a_pending, read
from tests.support.wait import wait_until


async def test_work_is_taken_and_given_back(
    database: Database, settings: Settings, process_id: UUID
) -> None:
    """Once stopped it takes nothing more; closed, it runs nothing more."""
    runs, may_end = Runs(lambda: process_id), asyncio.Event()

    async def run(execution: Execution) -> None:
        with runs.run() as one:
            runs.begin(one, execution)
            await may_end.wait()

    clock = SystemClock()
    dispatcher = Dispatcher(database, runs, run, clock, 2)
    engine = Engine(
        Queue(QUEUE, TASK, dispatcher, 1),
        settings.database,
        database,
        lambda: process_id,
        clock,
        Random(0),  # noqa: S311 - jitter
    )
    worker = Worker([engine], [dispatcher])
    worker.start()
    assert worker.is_idle
    async with database.transaction() as tx:
        taken = await a_pending(tx)
        await tx.pending_executions.wake_up()
    await wait_until(lambda: not worker.is_idle)
    worker.stop()
    async with database.transaction() as tx:
        left = await a_pending(tx)
        await tx.pending_executions.wake_up()
    assert not worker.is_idle
    await worker.close()
    assert worker.is_idle
    assert [(await read(database, one)).status for one in (taken, left)] == ["pending"] * 2
    async with database.transaction() as tx:
        assert await tx.jobs.count_waiting() == {QUEUE: 1}
