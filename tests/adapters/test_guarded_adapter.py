"""What the guard of an adapter lets pass, and what it makes of how calls end."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from typing_extensions import override

from app.adapters.base import AdapterHealth, ProgramCall, ProgramResult
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.guarded import AdapterStatus, GuardedAdapter
from app.policies.breaker import Breaker, BreakerState
from app.policies.clock import SystemClock
from app.policies.deadline import Deadline
from app.policies.limiter import Limiter
from app.policies.limits import Limits
from tests.adapters.programs import a_call
from tests.support.adapters import Outcome, ScriptedAdapter, answer
from tests.support.clock import ManualClock
from tests.support.wait import wait_until

COUNTED = {
    ErrorType.TIMEOUT,
    ErrorType.CONNECTION_FAILED,
    ErrorType.BACKEND_ERROR,
    ErrorType.OVERLOADED,
    ErrorType.WORKER_CRASHED,
}


def _guarded(
    *outcomes: Outcome, clock: ManualClock | None = None, most: float = 1
) -> tuple[GuardedAdapter, ScriptedAdapter]:
    clock = clock or ManualClock()
    inner = ScriptedAdapter(*outcomes)
    return GuardedAdapter(inner, Breaker(clock, most, 10.0), clock=clock), inner


async def _failure(adapter: GuardedAdapter, call: ProgramCall | None = None) -> AdapterError:
    with pytest.raises(AdapterError) as failed:
        await adapter.execute_program(call or a_call())
    return failed.value


async def _for_ever(_: ProgramCall) -> ProgramResult:
    return await asyncio.Future()


@pytest.mark.parametrize("error_type", ErrorType)
async def test_only_what_says_that_the_back_end_is_away_counts(error_type: ErrorType) -> None:
    """Bad input, wrong credentials, bad outputs and rate limits are answers; all of them climb."""
    failure = AdapterError(error_type, "no")
    adapter, _ = _guarded(failure)
    assert await _failure(adapter) is failure
    assert (adapter.breaker.state is BreakerState.OPEN) is (error_type in COUNTED)


async def test_a_bug_of_an_adapter_opens_nothing() -> None:
    """What is no AdapterError climbs as it is."""
    adapter, _ = _guarded(KeyError("x"))
    with pytest.raises(KeyError):
        await adapter.execute_program(a_call())
    assert (adapter.breaker.failures, adapter.in_flight) == (0, 0)


async def test_an_open_breaker_refuses_at_once() -> None:
    """`overloaded`, with the time until the next probe; the back-end hears nothing."""
    clock = ManualClock()
    adapter, inner = _guarded(AdapterError(ErrorType.BACKEND_ERROR, "broke"), clock=clock)
    await _failure(adapter)
    clock.advance(2.5)
    refusal = await _failure(adapter)
    assert (refusal.type, refusal.retry_after, refusal.recoverable) == ("overloaded", 7.5, True)
    assert refusal.context == {"breaker": "open"}
    assert refusal.message == "the adapter scripted is left alone, since its calls fail"
    assert len(inner.calls) == 1


async def test_a_probe_that_succeeds_lets_all_pass() -> None:
    """Half open, others are refused while it is under way; then none is."""
    clock, gate = ManualClock(), asyncio.Event()

    async def after_gate(_: ProgramCall) -> ProgramResult:
        await gate.wait()
        return answer(answer="a")

    broke = AdapterError(ErrorType.BACKEND_ERROR, "broke")
    adapter, inner = _guarded(broke, after_gate, answer(answer="b"), clock=clock)
    await _failure(adapter)
    clock.advance(10)
    assert adapter.status is AdapterStatus.WARNING
    probe = asyncio.create_task(adapter.execute_program(a_call()))
    await wait_until(lambda: adapter.in_flight == 1)
    assert (await _failure(adapter)).context == {"breaker": "half_open"}
    gate.set()
    assert (await probe).outputs == {"answer": "a"}
    assert (await adapter.execute_program(a_call())).outputs == {"answer": "b"}
    assert (adapter.breaker.state, len(inner.calls)) == (BreakerState.CLOSED, 3)


@pytest.mark.parametrize(
    ("of", "limit"),
    [("timeout_s", lambda _: 5), ("deadline", lambda clock: Deadline(clock, 5))],
)
async def test_a_call_without_an_answer_in_its_time_is_a_failure(
    of: str, limit: Callable[[ManualClock], Any]
) -> None:
    """However its caller stops it: what is over is its time, or that of the whole."""
    clock = ManualClock()

    async def too_slowly(_: ProgramCall) -> ProgramResult:
        clock.advance(5)
        raise asyncio.CancelledError

    adapter, _ = _guarded(too_slowly, clock=clock)
    with pytest.raises(asyncio.CancelledError):
        await adapter.execute_program(a_call(**{of: limit(clock)}))
    assert adapter.breaker.state is BreakerState.OPEN


async def test_a_timer_of_the_event_loop_counts_as_the_deadline() -> None:
    """Timers of loops are early by some milliseconds."""
    clock = SystemClock()
    inner = ScriptedAdapter(answer(answer="a"), _for_ever)
    adapter = GuardedAdapter(inner, Breaker(clock, 1), clock=clock)
    await adapter.execute_program(a_call())  # which makes next to no time the usual one
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await adapter.execute_program(a_call(timeout_s=0.01))
    assert adapter.breaker.state is BreakerState.OPEN


async def test_a_call_that_is_cancelled_says_nothing() -> None:
    """Its caller has gone; the back-end may be well."""
    adapter, _ = _guarded(_for_ever)
    call = asyncio.create_task(adapter.execute_program(a_call(timeout_s=5)))
    await wait_until(lambda: adapter.in_flight == 1)
    call.cancel()
    with suppress(asyncio.CancelledError):
        await call
    assert (adapter.breaker.failures, adapter.in_flight) == (0, 0)


async def test_a_timeout_shorter_than_usual_is_the_callers() -> None:
    """An adapter that usually takes two seconds is not blamed for missing one of them."""
    clock = ManualClock()

    async def in_two_seconds(_: ProgramCall) -> ProgramResult:
        clock.advance(2)
        return answer(answer="a")

    async def late(_: ProgramCall) -> ProgramResult:
        clock.advance(1)
        raise AdapterError(ErrorType.TIMEOUT, "late")

    adapter, _ = _guarded(in_two_seconds, late, clock=clock)
    await adapter.execute_program(a_call())
    assert (await _failure(adapter, a_call(timeout_s=1))).type is ErrorType.TIMEOUT
    assert adapter.breaker.state is BreakerState.CLOSED


async def test_a_timeout_of_the_adapters_own_is_the_back_ends() -> None:
    """However little it has waited: the caller would have waited for longer."""
    clock = ManualClock()
    late = AdapterError(ErrorType.TIMEOUT, "the model server did not answer in time")
    adapter, _ = _guarded(late, clock=clock)
    await _failure(adapter, a_call(timeout_s=1))
    assert adapter.breaker.state is BreakerState.OPEN


async def test_a_limit_of_our_own_is_no_failure_of_the_back_end() -> None:
    """Neither one of the adapter's LMs, nor its own."""
    failure = AdapterError(ErrorType.OVERLOADED, "no room", context={"limit": "max_concurrency"})
    adapter, _ = _guarded(failure)
    assert await _failure(adapter) is failure
    assert adapter.breaker.failures == 0


async def test_so_many_calls_at_once() -> None:
    """One more waits for its turn, and is `overloaded` where that does not come in time."""
    clock = ManualClock()
    inner = ScriptedAdapter(_for_ever, answer(answer="b"))
    limiter = Limiter(clock, Limits(max_concurrency=1, max_wait_s=0.01))
    adapter = GuardedAdapter(inner, Breaker(clock, 1), limiter, clock)
    first = asyncio.create_task(adapter.execute_program(a_call()))
    await wait_until(lambda: adapter.in_flight == 1)
    refusal = await _failure(adapter)
    assert (refusal.type, refusal.retry_after) == ("overloaded", None)
    assert refusal.context == {"limit": "max_concurrency"}
    assert (adapter.breaker.failures, adapter.in_flight, len(inner.calls)) == (0, 1, 1)
    first.cancel()
    await asyncio.wait({first})
    assert (await adapter.execute_program(a_call())).outputs == {"answer": "b"}


async def test_who_has_a_substitute_stands_in_no_line() -> None:
    """Another back-end is asked at once, where this one has no room."""
    clock = ManualClock()
    limiter = Limiter(clock, Limits(max_concurrency=1, max_wait_s=60))
    inner = ScriptedAdapter(_for_ever, answer(answer="b"))
    adapter = GuardedAdapter(inner, Breaker(clock, 1), limiter, clock)
    first = asyncio.create_task(adapter.execute_program(a_call()))
    await wait_until(lambda: adapter.in_flight == 1)
    assert (await _failure(adapter, replace(a_call(), has_substitute=True))).type == "overloaded"
    first.cancel()
    await asyncio.wait({first})
    await adapter.execute_program(replace(a_call(), has_substitute=True))


async def test_the_time_in_line_is_not_the_back_ends() -> None:
    """What a call waited before the back-end was asked is neither usual nor held against it."""
    clock = ManualClock()

    async def in_two_seconds(call: ProgramCall) -> ProgramResult:
        clock.advance(8)
        call.told.waited_s += 6
        return answer(answer="a")

    async def late(call: ProgramCall) -> ProgramResult:
        clock.advance(9)
        call.told.waited_s += waited.pop()
        raise AdapterError(ErrorType.TIMEOUT, "late")

    waited = [7.0, 7.5]
    adapter, _ = _guarded(in_two_seconds, late, late, clock=clock, most=5)
    await adapter.execute_program(a_call())
    failures = []
    for _ in range(2):
        await _failure(adapter, a_call(timeout_s=9))
        failures.append(adapter.breaker.failures)
    assert failures == [0, 1]


async def test_the_health_check_passes_an_open_breaker() -> None:
    """And leaves it open: only a call that succeeds closes it."""
    adapter, _ = _guarded(AdapterError(ErrorType.BACKEND_ERROR, "broke"))
    await _failure(adapter)
    assert (await adapter.health_check()).healthy
    assert (adapter.breaker.state, adapter.status) == (BreakerState.OPEN, AdapterStatus.ERROR)


class _Ill(ScriptedAdapter):
    """Its health check ends as it was told."""

    def __init__(self, end: AdapterHealth | Exception) -> None:
        super().__init__(answer(answer="a"))
        self._end = end

    @override
    async def health_check(self) -> AdapterHealth:
        if isinstance(self._end, Exception):
            raise self._end
        return self._end


async def test_the_status_is_that_of_the_last_call_or_check() -> None:
    """Nothing is known at first; a call that succeeds says more than a check before it."""
    adapter = GuardedAdapter(_Ill(AdapterHealth(healthy=False, latency_ms=1.0, error="away")))
    found = [adapter.status]
    await adapter.health_check()
    found.append(adapter.status)
    await adapter.execute_program(a_call())
    assert [*found, adapter.status] == ["unknown", "error", "healthy"]


@pytest.mark.parametrize(
    ("end", "error"),
    [
        (TimeoutError(), "no answer within 10 s"),
        (KeyError("secret"), "the check failed (KeyError)"),
    ],
)
async def test_a_health_check_that_raises_or_hangs_is_an_ill_adapter(
    end: Exception, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It never raises, and does not tell what the exception holds."""
    adapter = GuardedAdapter(_Ill(end))
    health = await adapter.health_check()
    assert (health.healthy, health.error) == (False, error)
    assert adapter.status is AdapterStatus.ERROR
    logged = [line for line in caplog.records if line.levelno >= logging.ERROR]
    assert len(logged) == (0 if isinstance(end, TimeoutError) else 1)


async def test_says_what_it_can_do() -> None:
    """The operations of what is guarded, and none besides."""
    adapter, _ = _guarded()
    assert adapter.capabilities == [
        "create_program",
        "execute_program",
        "list_programs",
        "delete_program",
        "get_program_info",
        "validate_signature",
        "health_check",
        "get_stats",
        "cleanup",
    ]
