"""Waiting for the end of an execution: told at once, looking each second, no connection between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import pytest
from typing_extensions import override

from app.actions.execution_waiting import POLL_S, ExecutionEnds, ExecutionWaiting
from app.database import Database
from app.errors import ExecutionNotFoundError
from app.models import Execution
from app.models.states import ExecutionStatus
from app.policies.clock import SystemClock
from app.settings import Settings
from tests.support.clock import ManualClock
from tests.support.factories import a_narrow_database, a_program, an_execution
from tests.support.wait import wait_until


async def end(database: Database, execution_id: UUID) -> None:
    """End a running execution."""
    async with database.transaction() as tx:
        values = {"status": ExecutionStatus.COMPLETED, "outcome": "success"}
        await tx.executions.finish(execution_id, values)


class EndingClock(ManualClock):
    """Ends an execution in the sleep of this number, and tells nobody."""

    def __init__(self, database: Database, execution_id: UUID, sleep: int) -> None:
        super().__init__()
        self._database = database
        self._execution_id = execution_id
        self._left = sleep

    @override
    async def sleep(self, seconds: float) -> None:
        self._left -= 1
        if not self._left:
            await end(self._database, self._execution_id)
        await super().sleep(seconds)


async def test_what_has_ended_is_given_at_once(database: Database) -> None:
    """However long the client would wait."""
    clock = ManualClock()
    execution = await an_execution(database, await a_program(database), end={})
    waiting = ExecutionWaiting(database, ExecutionEnds(clock), clock)
    found = await waiting(execution.id, 60.0)
    assert (found.status, clock.slept) == ("completed", [])


async def test_without_a_wait_what_runs_is_given_at_once(database: Database) -> None:
    """As it stands."""
    clock = ManualClock()
    execution = await an_execution(database, await a_program(database))
    found = await ExecutionWaiting(database, ExecutionEnds(clock), clock)(execution.id)
    assert (found.status, clock.slept) == ("running", [])


async def test_an_end_that_nobody_tells_of_is_found_by_looking(
    settings: Settings, database: Database
) -> None:
    """A look each second finds it; the one connection of the pool was free between."""
    execution = await an_execution(database, await a_program(database))
    async with a_narrow_database(settings) as narrow:
        clock = EndingClock(narrow, execution.id, sleep=3)
        found = await ExecutionWaiting(narrow, ExecutionEnds(clock), clock)(execution.id, 60.0)
    assert found.status == "completed"
    assert clock.slept == [POLL_S] * 3


@asynccontextmanager
async def a_waiter(
    database: Database, ends: ExecutionEnds, execution_id: UUID
) -> AsyncIterator[asyncio.Task[Execution]]:
    """Wait for an hour in a task, which is asleep when the block begins."""
    waiting = ExecutionWaiting(database, ends, _Sleepless())
    task = asyncio.create_task(waiting(execution_id, 3_600.0))
    await wait_until(lambda: bool(ends._watches))
    yield task
    assert not ends._watches


class _Sleepless(SystemClock):
    """A clock on which a sleep never ends."""

    @override
    async def sleep(self, seconds: float) -> None:
        await asyncio.Future()


@pytest.mark.parametrize("is_lost", [False, True], ids=["told", "catching up"])
async def test_who_waits_is_woken(database: Database, *, is_lost: bool) -> None:
    """News of the execution, or that news may have been lost, ends the wait without a look."""
    execution = await an_execution(database, await a_program(database))
    ends = ExecutionEnds(_Sleepless())
    async with a_waiter(database, ends, execution.id) as waiter:
        await end(database, execution.id)
        ends.hear([uuid4()])
        if is_lost:
            ends.catch_up()
        else:
            ends.hear([execution.id])
        assert (await waiter).status == "completed"


async def test_all_who_wait_for_one_are_woken(database: Database) -> None:
    """One that goes away takes nothing from the others."""
    execution = await an_execution(database, await a_program(database))
    ends = ExecutionEnds(_Sleepless())
    waiting = ExecutionWaiting(database, ends, _Sleepless())
    leaving, *staying = (asyncio.create_task(waiting(execution.id, 3_600.0)) for _ in range(3))
    await wait_until(lambda: len(ends._watches.get(execution.id, ())) == 3)
    leaving.cancel()
    await asyncio.wait({leaving})
    await end(database, execution.id)
    ends.hear([execution.id])
    assert [found.status for found in await asyncio.gather(*staying)] == ["completed"] * 2


async def test_the_time_is_up(database: Database) -> None:
    """The last pause is cut; then the record is given as it stands."""
    clock = ManualClock()
    execution = await an_execution(database, await a_program(database))
    found = await ExecutionWaiting(database, ExecutionEnds(clock), clock)(execution.id, 2.5)
    assert found.status == "running"
    assert clock.slept == [1.0, 1.0, pytest.approx(0.5)]


async def test_an_unknown_execution_is_not_waited_for(database: Database) -> None:
    """It is told at once."""
    clock = ManualClock()
    with pytest.raises(ExecutionNotFoundError):
        await ExecutionWaiting(database, ExecutionEnds(clock), clock)(uuid4(), 60.0)
    assert clock.slept == []
