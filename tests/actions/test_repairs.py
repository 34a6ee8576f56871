"""Repairs: when the model is asked again, what it is told, and what that counts for."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from app.actions.program_execution.attempts import TOLD_FAULTS
from app.adapters.base import ProgramCall, ProgramResult, Repair
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.usage import Usage
from app.database import Database
from app.errors import ExecutionError, ExecutionFailedError, ExecutionTimedOutError
from app.models import Execution
from tests.support.adapters import Outcome, ScriptedAdapter, answer
from tests.support.clock import ManualClock
from tests.support.factories import a_program, a_run, an_action, the_record

COUNT = "question: string -> count: integer"
BUSY = AdapterError(ErrorType.OVERLOADED, "busy")
UNREADABLE = AdapterError(
    ErrorType.OUTPUT_INVALID, "no JSON", raw_output="I would rather not.", usage=Usage(5, 1, 6, 1)
)
GOOD = ProgramResult({"count": 7}, "scripted", usage=Usage(5, 1, 6, 1))


def wrong(count: Any, raw_output: Any = None) -> ProgramResult:
    """Give a result whose count does not fit."""
    usage = Usage(5, 1, 6, 1)
    return ProgramResult({"count": count}, "scripted", raw_output=raw_output, usage=usage)


async def _ran(
    database: Database, *outcomes: Outcome, **options: Any
) -> tuple[Execution, list[ProgramCall]]:
    """Run without waits; give the record, whatever it says, and the calls."""
    adapter = ScriptedAdapter(*outcomes)
    program = await a_program(database, COUNT)
    with suppress(ExecutionError):
        await an_action(database, adapter)(a_run(program, **{"retry_delay": 0, **options}))
    return await the_record(database, program), adapter.calls


def _types(record: Execution) -> list[str | None]:
    return [attempt["error"] and attempt["error"]["type"] for attempt in record.attempts]


async def test_without_repairs_invalid_outputs_are_the_end(database: Database) -> None:
    """Nobody is asked again who did not ask for it, whatever the retries."""
    record, calls = await _ran(database, wrong("many"), max_retries=5)
    assert (record.outcome, len(calls)) == ("validation_error", 1)


@pytest.mark.parametrize(
    ("first", "repair"),
    [
        (
            wrong("many", raw_output='{"count": "many"}'),
            Repair('{"count": "many"}', ('count must be a whole number, not "many"',)),
        ),
        (
            wrong("many"),
            Repair({"count": "many"}, ('count must be a whole number, not "many"',)),
        ),
        (UNREADABLE, Repair("I would rather not.", ("no JSON",))),
    ],
    ids=["our validation", "without raw output", "the adapter's"],
)
async def test_the_model_is_told_what_it_said_and_what_is_wrong(
    database: Database, first: Outcome, repair: Repair
) -> None:
    """A repair is an attempt of its own, with its cost, and the execution completes."""
    record, calls = await _ran(database, first, GOOD, max_repairs=1, max_retries=0)
    assert [call.repair for call in calls] == [None, repair]
    assert [call.attempt for call in calls] == [1, 2]
    assert (record.status, record.outputs, record.raw_output) == ("completed", {"count": 7}, None)
    assert _types(record) == ["output_invalid", None]
    assert record.usage == {
        "prompt_tokens": 10,
        "completion_tokens": 2,
        "total_tokens": 12,
        "lm_calls": 2,
    }


@pytest.mark.parametrize("max_repairs", [1, 5])
async def test_repairs_end(database: Database, max_repairs: int) -> None:
    """After so many the last answer stands as the failure, and is kept."""
    outcomes = [wrong(f"{number}") for number in "abcdef"]
    record, calls = await _ran(database, *outcomes, max_repairs=max_repairs, max_retries=0)
    assert len(calls) == len(record.attempts) == max_repairs + 1
    assert [call.repair and call.repair.raw_output for call in calls[1:]] == [
        {"count": number} for number in "abcdef"[:max_repairs]
    ]
    assert (record.status, record.outcome) == ("failed", "validation_error")
    assert record.raw_output == {"count": "abcdef"[max_repairs]}


async def test_repairs_and_retries_do_not_count_for_each_other(database: Database) -> None:
    """Each has its own number; a retry of a repair tells the model the same again."""
    outcomes: list[Outcome] = [BUSY, wrong("a"), BUSY, wrong("b"), GOOD]
    record, calls = await _ran(database, *outcomes, max_repairs=2, max_retries=2)
    assert _types(record) == ["overloaded", "output_invalid", "overloaded", "output_invalid", None]
    said = [call.repair and call.repair.raw_output for call in calls]
    assert said == [None, None, {"count": "a"}, {"count": "a"}, {"count": "b"}]


async def test_retries_are_counted_over_the_whole(database: Database) -> None:
    """A repair does not give the retries back that came before it."""
    record, _ = await _ran(database, BUSY, wrong("a"), BUSY, GOOD, max_repairs=1, max_retries=1)
    assert _types(record) == ["overloaded", "output_invalid", "overloaded"]
    assert (record.status, record.outcome) == ("failed", "execution_error")


async def test_the_deadline_ends_the_repairs(database: Database) -> None:
    """With no time left nobody is asked again: the answer that did not fit is the end."""
    clock = ManualClock()

    async def slowly(_: ProgramCall) -> ProgramResult:
        clock.advance(1.0)
        return wrong("many")

    adapter = ScriptedAdapter(slowly, GOOD)
    program = await a_program(database, COUNT)
    action = an_action(database, adapter, clock=clock)
    with pytest.raises(ExecutionFailedError):
        await action(a_run(program, max_repairs=5, deadline_ms=1_000))
    assert len(adapter.calls) == 1


async def test_a_repair_has_the_time_that_is_left(database: Database) -> None:
    """A model that is asked again and hangs is cut at the deadline of the whole."""
    clock = ManualClock()

    async def slowly(_: ProgramCall) -> ProgramResult:
        clock.advance(0.99)
        return wrong("many")

    async def for_ever(_: ProgramCall) -> ProgramResult:
        return await asyncio.Future()

    program = await a_program(database, COUNT)
    action = an_action(database, ScriptedAdapter(slowly, for_ever), clock=clock)
    with pytest.raises(ExecutionTimedOutError):
        await action(a_run(program, max_repairs=1, max_retries=0, deadline_ms=1_000))
    assert _types(await the_record(database, program)) == ["output_invalid", "timeout"]


async def test_a_thousand_faults_are_not_told(database: Database) -> None:
    """The model hears the first ones, which cost little and tell it enough."""
    program = await a_program(database, "question: string -> tags: list[integer]")
    faulty = ProgramResult({"tags": ["x"] * 1_000}, "scripted", raw_output="x")
    adapter = ScriptedAdapter(faulty, answer(tags=[1]))
    await an_action(database, adapter)(a_run(program, max_repairs=1))
    repair = adapter.calls[1].repair
    assert repair is not None
    assert len(repair.faults) == TOLD_FAULTS
