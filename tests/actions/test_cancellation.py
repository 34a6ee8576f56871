"""Callers that leave: whatever the moment, no record is left running."""

import asyncio
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

import pytest
from sqlalchemy import event
from typing_extensions import override

from app.adapters.base import ProgramCall, ProgramResult
from app.adapters.errors import AdapterError, ErrorType
from app.database import Database
from app.models import Program
from tests.support.adapters import ScriptedAdapter, answer
from tests.support.clock import ManualClock
from tests.support.factories import (
    a_program,
    a_recorder,
    a_run,
    an_action,
    records_of,
    reloaded,
    the_record,
)
from tests.support.wait import wait_until, written

_ENDED = re.compile(r"execution (\S+) of answerer ended: ")

MOMENTS = ("before_cursor_execute", "after_cursor_execute", "commit", "checkin")


@contextmanager
def _told_of_each_moment(database: Database, listener: Callable[..., None]) -> Iterator[None]:
    """Call `listener` whenever something happens between the program and the database."""
    engine = database._engine.sync_engine
    for moment in MOMENTS:
        event.listen(engine, moment, listener)
    try:
        yield
    finally:
        for moment in MOMENTS:
            event.remove(engine, moment, listener)


async def _run_cancelled_at(database: Database, program: Program, moment: int) -> bool:
    """Run once, cancelled at this step of the way; False where there were fewer steps."""
    steps = 0

    def step(*_: object) -> None:
        nonlocal steps
        steps += 1
        if steps == moment:
            run.cancel()

    async def think(_: ProgramCall) -> ProgramResult:
        step()
        await asyncio.sleep(0)
        return answer(answer="a")

    recorder = a_recorder(database, step=step)
    action = an_action(database, ScriptedAdapter(think), recorder=recorder)
    run = asyncio.create_task(action(a_run(program)))
    with _told_of_each_moment(database, step):
        await asyncio.wait({run})
        await written()
    assert run.cancelled() is (steps >= moment)
    return steps >= moment


async def test_a_caller_that_leaves_at_any_moment_leaves_nothing_running(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Cancelled at each step of the way in turn, the run ends, and its record, if any, too.

    Every end is told, once.
    """
    caplog.set_level(logging.INFO, "app.actions.program_execution.records")
    program = await a_program(database)
    seen = set()
    for moment in count(1):
        was_cancelled = await _run_cancelled_at(database, program, moment)
        records = await records_of(database, program)
        seen |= {record.status for record in records}
        assert seen <= {"completed", "cancelled"}
        assert (await reloaded(database, program)).execution_count == len(records)
        assert sorted(_ENDED.findall(caplog.text)) == sorted(str(record.id) for record in records)
        if not was_cancelled:
            break
    assert moment > 8
    assert seen == {"completed", "cancelled"}


async def test_a_caller_that_leaves_while_the_adapter_runs_is_recorded(
    database: Database,
) -> None:
    """The adapter's call is cancelled; the record says so, with the attempt that was under way."""
    program = await a_program(database)
    clock = ManualClock()
    was_cancelled = False

    async def for_ever(_: ProgramCall) -> ProgramResult:
        nonlocal was_cancelled
        clock.advance(2)
        try:
            return await asyncio.Future()
        except asyncio.CancelledError:
            was_cancelled = True
            raise

    adapter = ScriptedAdapter(for_ever)
    run = asyncio.create_task(an_action(database, adapter, clock=clock)(a_run(program)))
    await wait_until(lambda: bool(adapter.calls))
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert was_cancelled
    record = await the_record(database, program)
    assert (record.status, record.outcome, record.duration_ms) == ("cancelled", "cancelled", 2000.0)
    assert record.error["message"] == "The execution was cancelled."  # type: ignore[index]
    (attempt,) = record.attempts
    assert (attempt["adapter"], attempt["duration_ms"]) == ("scripted", 2000.0)
    assert attempt["error"]["type"] == "cancelled"


class _StoppedClock(ManualClock):
    """A clock on which a sleep never ends."""

    @override
    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.Future()


async def test_a_caller_that_leaves_between_two_attempts_is_recorded(database: Database) -> None:
    """The record is cancelled, and keeps the failure of the attempt that was made."""
    program = await a_program(database)
    clock = _StoppedClock()
    adapter = ScriptedAdapter(AdapterError(ErrorType.OVERLOADED, "busy"))
    run = asyncio.create_task(an_action(database, adapter, clock=clock)(a_run(program)))
    await wait_until(lambda: bool(clock.slept))
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    record = await the_record(database, program)
    assert (record.status, record.outcome) == ("cancelled", "cancelled")
    assert [attempt["error"]["type"] for attempt in record.attempts] == ["overloaded"]


async def test_a_caller_that_leaves_before_the_adapter_is_called_is_recorded(
    database: Database,
) -> None:
    """Left while the record was written, it ends without an attempt, and counts."""
    program = await a_program(database)
    adapter = ScriptedAdapter()

    def leave_at_the_record(statement: str) -> None:
        if "INSERT INTO executions" in statement:
            run.cancel()

    recorder = a_recorder(database, step=leave_at_the_record)
    run = asyncio.create_task(an_action(database, adapter, recorder=recorder)(a_run(program)))
    with pytest.raises(asyncio.CancelledError):
        await run
    await written()
    record = await the_record(database, program)
    assert (record.status, record.outcome, record.attempts) == ("cancelled", "cancelled", [])
    assert record.error["message"] == "The execution was cancelled before it began."  # type: ignore[index]
    assert (record.usage or {})["lm_calls"] == 0
    assert adapter.calls == []
    assert (await reloaded(database, program)).execution_count == 1


async def test_a_caller_that_leaves_while_the_end_is_written_does_not_lose_it(
    database: Database,
) -> None:
    """An answer that was had is recorded as completed, although nobody waits for it."""
    program = await a_program(database)

    def leave_at_the_end(statement: str) -> None:
        if "UPDATE executions" in statement:
            run.cancel()
            run.cancel()

    recorder = a_recorder(database, step=leave_at_the_end)
    adapter = ScriptedAdapter(answer(answer="a"))
    run = asyncio.create_task(an_action(database, adapter, recorder=recorder)(a_run(program)))
    with pytest.raises(asyncio.CancelledError):
        await run
    record = await the_record(database, program)
    assert (record.status, record.outputs) == ("completed", {"answer": "a"})


async def test_a_hundred_cancelled_runs_give_their_connections_back(database: Database) -> None:
    """Afterwards no connection is in use, and every record has ended."""
    program = await a_program(database)

    async def for_ever(_: ProgramCall) -> ProgramResult:
        return await asyncio.Future()

    adapter = ScriptedAdapter(*[for_ever] * 100)
    action = an_action(database, adapter)
    runs = [asyncio.create_task(action(a_run(program))) for _ in range(100)]
    await wait_until(lambda: len(adapter.calls) >= 50)
    for run in runs:
        run.cancel()
    await asyncio.wait(runs)
    await written()
    assert database._engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    records = await records_of(database, program)
    assert {record.status for record in records} == {"cancelled"}
    assert (await reloaded(database, program)).execution_count == len(records)
