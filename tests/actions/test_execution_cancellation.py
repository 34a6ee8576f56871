"""Cancelling executions: the record ends at once, and whoever runs or awaits it is told."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from uuid import UUID, uuid4

import pytest

from app.actions.execution_cancellation import ExecutionCancellation
from app.actions.program_execution import ProgramExecution
from app.actions.program_execution.runs import Runs
from app.adapters.base import ProgramCall, ProgramResult
from app.database import Database
from app.errors import ExecutionCancelledError, ExecutionNotFoundError, InvalidTransitionError
from app.models import Execution, Program
from app.models.ids import item_id
from app.policies.clock import SystemClock
from app.processes.channel import ControlChannel, Kind
from tests.stores.rows import a_lane, a_running_batch, item_ending
from tests.stores.test_batches import counts
from tests.support.adapters import ScriptedAdapter
from tests.support.factories import (
    OWNER_ID,
    a_program,
    a_run,
    an_action,
    an_execution,
    reloaded,
    the_record,
)
from tests.support.wait import wait_until


def a_channel() -> ControlChannel:
    """Make a channel that reaches this process alone."""
    return ControlChannel(SystemClock(), Random(0))  # noqa: S311 - jitter


@asynccontextmanager
async def under_way(
    action: ProgramExecution, program: Program, runs: Runs
) -> AsyncIterator[tuple[asyncio.Task[Execution], UUID]]:
    """Run a program until its model thinks; give the run and the id of the record."""
    running = asyncio.create_task(action(a_run(program)))
    await wait_until(lambda: bool(runs.ids()))
    (execution_id,) = runs.ids()
    yield running, execution_id
    running.cancel()
    await asyncio.wait({running})


async def _thinks(_: ProgramCall) -> ProgramResult:
    await asyncio.Future()
    raise AssertionError


async def test_a_running_execution_is_cancelled(database: Database) -> None:
    """Its record ends with the time that it took, counted once; its caller gets the problem."""
    program, runs, channel = await a_program(database), Runs(lambda: OWNER_ID), a_channel()
    channel.subscribe(Kind.CANCEL, runs.call_off, lambda: None)
    action = an_action(database, ScriptedAdapter(_thinks), runs=runs)
    async with under_way(action, program, runs) as (running, execution_id):
        cancelled = await ExecutionCancellation(database, channel)(execution_id)
        with pytest.raises(ExecutionCancelledError) as problem:
            await running
    assert problem.value.members["execution_id"] == str(execution_id)
    assert (cancelled.id, cancelled.status, cancelled.outcome) == (
        execution_id,
        "cancelled",
        "cancelled",
    )
    assert cancelled.error is not None
    assert cancelled.error["type"] == "cancelled"
    assert cancelled.duration_ms is not None
    assert cancelled.duration_ms >= 0
    assert cancelled.finished_at is not None
    assert (await the_record(database, program)).finished_at == cancelled.finished_at
    async with database.transaction() as tx:
        await tx.programs.fold_counts()
    assert (await reloaded(database, program)).execution_count == 1


async def test_who_waits_and_who_runs_are_told(database: Database) -> None:
    """Of the one execution, after the commit."""
    execution, channel = await an_execution(database, await a_program(database)), a_channel()
    told: list[tuple[Kind, UUID]] = []

    def hear(kind: Kind, ids: Collection[UUID]) -> None:
        told.extend((kind, one) for one in ids)

    for kind in Kind:
        channel.subscribe(kind, partial(hear, kind), lambda: None)
    await ExecutionCancellation(database, channel)(execution.id)
    assert told == [(Kind.CANCEL, execution.id), (Kind.ENDED, execution.id)]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("completed", "success"), ("failed", "timeout"), ("cancelled", "cancelled")],
)
async def test_what_has_ended_is_not_cancelled(
    database: Database, status: str, outcome: str
) -> None:
    """The refusal says how it stands, and nothing is told."""
    program, channel = await a_program(database), a_channel()
    ended = await an_execution(database, program, end={"status": status, "outcome": outcome})
    told: list[UUID] = []
    channel.subscribe(Kind.CANCEL, told.extend, lambda: None)
    with pytest.raises(InvalidTransitionError, match=f"The execution is {status} already"):
        await ExecutionCancellation(database, channel)(ended.id)
    assert (await the_record(database, program)).finished_at == ended.finished_at
    assert told == []


async def test_what_is_not_there_is_not_cancelled(database: Database) -> None:
    """As everywhere."""
    with pytest.raises(ExecutionNotFoundError):
        await ExecutionCancellation(database, a_channel())(uuid4())


async def test_an_item_is_cancelled_and_counted_in_its_batch(database: Database) -> None:
    """Whether it waits or runs; what the lane writes later is not written."""
    cancel = ExecutionCancellation(database, a_channel())
    async with database.transaction() as tx:
        batch_id = await a_running_batch(tx, 4)
        lane = await a_lane(tx, batch_id)
        items = await tx.lanes.claim(lane, 2)
    assert items
    for place in (0, 3):
        await cancel(item_id(batch_id, place))
        with pytest.raises(InvalidTransitionError, match="cancelled already"):
            await cancel(item_id(batch_id, place))
    async with database.transaction() as tx:
        assert counts(await tx.batches.get(batch_id)) == [1, 1, 0, 0, 2]
        ends = [item_ending(item) for item in items]
        assert await tx.lanes.finish(lane, ends) == {items[1].id}
        assert counts(await tx.batches.get(batch_id)) == [1, 0, 1, 0, 2]
