"""Attempts: which failures are tried again, how often, when, and what is kept of each."""

import asyncio
import logging
from typing import Any

import pytest

from app.adapters.base import ProgramCall, ProgramResult
from app.adapters.combine.in_turn import Failover
from app.adapters.errors import RECOVERABLE, AdapterError, ErrorType
from app.adapters.setup import AdapterSetup
from app.adapters.usage import Usage
from app.database import Database
from app.errors import (
    BackendUnavailableError,
    ExecutionCancelledError,
    ExecutionError,
    ExecutionFailedError,
    ExecutionTimedOutError,
)
from app.models import Execution
from app.policies.clock import SystemClock
from tests.support.adapters import ScriptedAdapter, answer
from tests.support.clock import ManualClock
from tests.support.factories import a_program, a_run, an_action, the_record

PROBLEMS: dict[ErrorType, type[ExecutionError]] = {
    ErrorType.TIMEOUT: ExecutionTimedOutError,
    ErrorType.CONNECTION_FAILED: BackendUnavailableError,
    ErrorType.BACKEND_ERROR: ExecutionFailedError,
    ErrorType.RATE_LIMITED: BackendUnavailableError,
    ErrorType.OVERLOADED: BackendUnavailableError,
    ErrorType.AUTHENTICATION: ExecutionFailedError,
    ErrorType.INVALID_REQUEST: ExecutionFailedError,
    ErrorType.CONTEXT_WINDOW_EXCEEDED: ExecutionFailedError,
    ErrorType.VALIDATION_FAILED: ExecutionFailedError,
    ErrorType.OUTPUT_INVALID: ExecutionFailedError,
    ErrorType.PROGRAM_NOT_FOUND: ExecutionFailedError,
    ErrorType.WORKER_CRASHED: ExecutionFailedError,
    ErrorType.UNSUPPORTED: ExecutionFailedError,
    ErrorType.CANCELLED: ExecutionCancelledError,
    ErrorType.UNEXPECTED: ExecutionFailedError,
}
OUTCOMES = {
    ErrorType.OUTPUT_INVALID: "validation_error",
    ErrorType.TIMEOUT: "timeout",
    ErrorType.CANCELLED: "cancelled",
    ErrorType.UNEXPECTED: "exception",
}


async def _failed(
    database: Database, adapter: ScriptedAdapter, clock: ManualClock | None = None, **options: Any
) -> tuple[ExecutionError, Execution]:
    """Run to a failure; give the problem and the record."""
    program = await a_program(database)
    with pytest.raises(ExecutionError) as failed:
        await an_action(database, adapter, clock=clock)(a_run(program, **options))
    return failed.value, await the_record(database, program)


def _types(record: Execution) -> list[str | None]:
    return [attempt["error"] and attempt["error"]["type"] for attempt in record.attempts]


@pytest.mark.parametrize("error_type", ErrorType)
async def test_only_what_may_pass_is_tried_again(database: Database, error_type: ErrorType) -> None:
    """Each type of error is retried or not, recorded, and told as its own problem."""
    adapter = ScriptedAdapter(*[AdapterError(error_type, "no luck", context={"n": 1})] * 3)
    problem, record = await _failed(database, adapter, max_retries=2)
    attempts = 3 if error_type in RECOVERABLE else 1
    assert [call.attempt for call in adapter.calls] == list(range(1, attempts + 1))
    assert _types(record) == [error_type] * attempts
    assert type(problem) is PROBLEMS[error_type]
    assert problem.detail == "no luck"
    assert problem.members == {"execution_id": str(record.id), "error": record.error}
    assert record.error == {
        "type": error_type,
        "message": "no luck",
        "context": {"n": 1},
        "recoverable": error_type in RECOVERABLE,
        "retry_after": None,
    }
    assert record.outcome == OUTCOMES.get(error_type, "execution_error")
    assert record.status == ("cancelled" if error_type is ErrorType.CANCELLED else "failed")
    assert (record.outputs, record.adapter) == (None, None)


@pytest.mark.parametrize("max_retries", [0, 1, 10])
async def test_max_retries_counts_what_follows_the_first_attempt(
    database: Database, max_retries: int
) -> None:
    """One attempt and `max_retries` more, then the failure stands."""
    failures = [AdapterError(ErrorType.OVERLOADED, f"no {n}") for n in range(12)]
    adapter = ScriptedAdapter(*failures)
    problem, record = await _failed(database, adapter, max_retries=max_retries, retry_delay=0)
    assert len(record.attempts) == max_retries + 1
    assert problem.detail == f"no {max_retries}"


async def test_a_success_after_failures_keeps_them(database: Database) -> None:
    """The record holds each attempt: its adapter, start, duration and error."""
    clock = ManualClock()

    async def overloaded(_: ProgramCall) -> ProgramResult:
        clock.advance(0.25)
        raise AdapterError(ErrorType.OVERLOADED, "busy", retry_after=2.0)

    async def well(_: ProgramCall) -> ProgramResult:
        clock.advance(0.5)
        return answer(answer="a")

    program = await a_program(database)
    action = an_action(database, ScriptedAdapter(overloaded, well), clock=clock)
    execution = await action(a_run(program))
    error = AdapterError(ErrorType.OVERLOADED, "busy", retry_after=2.0).as_document()
    assert execution.attempts == [
        {
            "adapter": "scripted",
            "started_at": "2026-01-05T00:00:00Z",
            "duration_ms": 250.0,
            "error": error,
        },
        {
            "adapter": "scripted",
            "started_at": "2026-01-05T00:00:02.250000Z",
            "duration_ms": 500.0,
            "error": None,
        },
    ]
    assert (execution.status, execution.error, execution.duration_ms) == ("completed", None, 2750.0)


async def test_usage_is_summed_over_all_attempts(database: Database) -> None:
    """Failed attempts cost too."""
    failure = AdapterError(ErrorType.BACKEND_ERROR, "broke", usage=Usage(10, 1, 11, 1))
    result = ProgramResult({"answer": "a"}, "scripted", usage=Usage(20, 2, 22, 3))
    program = await a_program(database)
    execution = await an_action(database, ScriptedAdapter(failure, failure, result))(a_run(program))
    assert execution.usage == {
        "prompt_tokens": 40,
        "completion_tokens": 4,
        "total_tokens": 44,
        "lm_calls": 5,
    }


async def test_the_usage_of_a_failure_is_kept(database: Database) -> None:
    """An execution that fails says what it cost."""
    failure = AdapterError(ErrorType.INVALID_REQUEST, "no", usage=Usage(1, 2, 3, 1))
    _, record = await _failed(database, ScriptedAdapter(failure))
    assert record.usage == {
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "total_tokens": 3,
        "lm_calls": 1,
    }


@pytest.mark.parametrize(("asked", "waited"), [(0.0, 0.0), (3.5, 3.5), (60.0, 60.0), (1e9, 60.0)])
async def test_a_failure_that_says_how_long_to_wait_wins(
    database: Database, asked: float, waited: float
) -> None:
    """The asked wait is kept to, up to a minute, whatever the back-off would be."""
    clock = ManualClock()
    failure = AdapterError(ErrorType.RATE_LIMITED, "slow down", retry_after=asked)
    program = await a_program(database)
    adapter = ScriptedAdapter(failure, answer(answer="a"))
    await an_action(database, adapter, clock=clock)(a_run(program, retry_delay=60_000))
    assert clock.slept == [waited]


async def test_the_waits_grow_and_are_jittered(database: Database) -> None:
    """Before retry n the wait lies between nothing and the doubled delay."""
    clock = ManualClock()
    failure = AdapterError(ErrorType.OVERLOADED, "busy")
    await _failed(database, ScriptedAdapter(*[failure] * 5), clock, max_retries=4, retry_delay=100)
    assert [waited <= 0.1 * 2**n for n, waited in enumerate(clock.slept)] == [True] * 4
    assert len(set(clock.slept)) == 4


async def test_no_retry_delay_means_no_wait(database: Database) -> None:
    """A `retry_delay` of 0 tries again at once."""
    clock = ManualClock()
    failure = AdapterError(ErrorType.OVERLOADED, "busy")
    await _failed(database, ScriptedAdapter(*[failure] * 3), clock, retry_delay=0)
    assert clock.slept == [0, 0]


async def test_the_deadline_ends_the_retries(database: Database) -> None:
    """No attempt is made, and no wait begun, that the whole has no time for."""
    clock = ManualClock()

    async def slowly(_: ProgramCall) -> ProgramResult:
        clock.advance(0.6)
        raise AdapterError(ErrorType.OVERLOADED, "busy")

    adapter = ScriptedAdapter(*[slowly] * 5)
    _, record = await _failed(
        database, adapter, clock, max_retries=10, retry_delay=0, deadline_ms=1_000
    )
    assert _types(record) == ["overloaded"] * 2
    assert record.error["type"] == "overloaded"  # type: ignore[index]


async def test_a_wait_beyond_the_deadline_is_not_begun(database: Database) -> None:
    """A back-end that asks for more time than there is gets no second call."""
    clock = ManualClock()
    failure = AdapterError(ErrorType.RATE_LIMITED, "slow down", retry_after=30)
    problem, record = await _failed(database, ScriptedAdapter(failure), clock, deadline_ms=30_000)
    assert (clock.slept, len(record.attempts)) == ([], 1)
    assert problem.retry_after_s == 30


async def test_without_a_word_a_client_waits_a_second(database: Database) -> None:
    """A back-end that is away without saying for how long gets a second."""
    failure = AdapterError(ErrorType.CONNECTION_FAILED, "refused")
    problem, _ = await _failed(database, ScriptedAdapter(failure), max_retries=0)
    assert problem.retry_after_s == 1


async def test_a_failure_that_waiting_does_not_mend_asks_for_no_wait(database: Database) -> None:
    """Only a back-end that is away is worth `Retry-After`."""
    failure = AdapterError(ErrorType.BACKEND_ERROR, "broke", retry_after=5)
    problem, _ = await _failed(database, ScriptedAdapter(failure), max_retries=0)
    assert problem.retry_after_s is None


async def _for_ever(_: ProgramCall) -> ProgramResult:
    return await asyncio.Future()


async def test_each_attempt_has_its_timeout(database: Database) -> None:
    """A call that hangs is ended, tried again, and recorded as `timeout`."""
    adapter = ScriptedAdapter(_for_ever, _for_ever)
    problem, record = await _failed(database, adapter, timeout=5, max_retries=1)
    assert type(problem) is ExecutionTimedOutError
    assert _types(record) == ["timeout"] * 2
    assert (record.status, record.outcome) == ("failed", "timeout")
    assert record.error["message"] == "No answer within 5 ms."  # type: ignore[index]


async def test_the_deadline_cuts_an_attempt_short(database: Database) -> None:
    """An attempt gets no more time than the whole has left."""
    clock = ManualClock()

    async def slowly(_: ProgramCall) -> ProgramResult:
        clock.advance(0.99)
        raise AdapterError(ErrorType.OVERLOADED, "busy")

    adapter = ScriptedAdapter(slowly, _for_ever)
    _, record = await _failed(
        database, adapter, clock, timeout=3_600_000, retry_delay=0, max_retries=1, deadline_ms=1_000
    )
    assert _types(record) == ["overloaded", "timeout"]
    assert record.error["message"] == "No answer within 10 ms."  # type: ignore[index]


@pytest.mark.parametrize(
    ("raw", "kept"), [("the answer is 7", "the answer is 7"), (None, {"count": "many"})]
)
async def test_outputs_that_do_not_fit_are_kept_for_inspection(
    database: Database, raw: str | None, kept: Any
) -> None:
    """They are not retried; the record has the faults and what the model said."""
    usage = Usage(lm_calls=1)
    result = ProgramResult({"count": "many"}, "scripted", raw_output=raw, usage=usage)
    program = await a_program(database, "question: string -> count: integer, mood: string")
    adapter = ScriptedAdapter(result)
    with pytest.raises(ExecutionFailedError) as failed:
        await an_action(database, adapter)(a_run(program))
    record = await the_record(database, program)
    assert (record.status, record.outcome, record.outputs) == ("failed", "validation_error", None)
    assert record.raw_output == kept
    assert record.usage["lm_calls"] == 1  # type: ignore[index]
    assert len(record.attempts) == 1
    error = record.error or {}
    assert (error["type"], error["recoverable"]) == ("output_invalid", False)
    assert {fault["path"] for fault in error["context"]["faults"]} == {"/count", "/mood"}
    assert "/mood: mood is missing" in failed.value.detail


async def test_a_plain_exception_of_an_adapter_is_unexpected(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """It is recorded without its words, not retried, and logged once with its trace."""
    problem, record = await _failed(database, ScriptedAdapter(KeyError("secret")))
    assert type(problem) is ExecutionFailedError
    assert (record.status, record.outcome) == ("failed", "exception")
    assert _types(record) == ["unexpected"]
    assert record.error["message"] == "The adapter failed: KeyError."  # type: ignore[index]
    (logged,) = [line for line in caplog.records if line.levelno >= logging.ERROR]
    assert logged.getMessage() == "adapter scripted raised what is no AdapterError"
    assert logged.exc_info is not None


async def test_each_member_of_a_combination_is_an_attempt(database: Database) -> None:
    """The record holds the calls that were made, names who answered, and sums what all cost."""
    clock = ManualClock()

    async def busy(_: ProgramCall) -> ProgramResult:
        clock.advance(0.25)
        raise AdapterError(ErrorType.OVERLOADED, "busy", usage=Usage(lm_calls=1))

    async def well(_: ProgramCall) -> ProgramResult:
        clock.advance(0.5)
        return ProgramResult({"answer": "a"}, "eu", usage=Usage(5, 2, 7, 1))

    members = {"dspy": ScriptedAdapter(busy, name="dspy"), "eu": ScriptedAdapter(well, name="eu")}
    setup = AdapterSetup("safe", {"members": ["dspy", "eu"]}, clock=clock, member=members.get)  # type: ignore[arg-type]
    program = await a_program(database, adapter="safe")
    execution = await an_action(database, Failover(setup), clock=clock)(a_run(program))
    assert (execution.adapter_type, execution.adapter) == ("failover", "eu")
    assert [(of["adapter"], of["started_at"], of["duration_ms"]) for of in execution.attempts] == [
        ("dspy", "2026-01-05T00:00:00Z", 250.0),
        ("eu", "2026-01-05T00:00:00.250000Z", 500.0),
    ]
    assert _types(execution) == ["overloaded", None]
    assert execution.usage == vars(Usage(5, 2, 7, 2))


async def test_the_deadline_ends_every_member(database: Database) -> None:
    """A member that is stopped by the deadline is told as out of time, with what it spent."""

    async def hang(call: ProgramCall) -> ProgramResult:
        call.told.usage = Usage(lm_calls=1)
        await asyncio.Event().wait()
        raise AssertionError

    member = ScriptedAdapter(hang, name="dspy")
    setup = AdapterSetup("safe", {"members": ["dspy"]}, member=lambda _: member)
    program = await a_program(database, adapter="safe")
    action = an_action(database, Failover(setup), clock=SystemClock())
    with pytest.raises(ExecutionTimedOutError):
        await action(a_run(program, deadline_ms=30, timeout=10_000))
    record = await the_record(database, program)
    assert _types(record) == ["timeout"]
    assert record.usage == vars(Usage(lm_calls=1))
