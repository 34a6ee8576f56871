"""The limits of LMs: who waits, who is refused, and what servers say of themselves."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from app.adapters.base import ProgramCall
from app.adapters.dspy import DspyAdapter
from app.adapters.dspy.token_guess import TokenGuess
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.lm_limits import LMLimiters
from app.adapters.registry import AdapterRegistry
from app.adapters.setup import AdapterSetup
from app.adapters.usage import Usage
from app.policies.limiter import Priority
from app.settings import AdapterSettings
from app.telemetry.metrics import Metrics
from tests.adapters.dspy_adapters import an_lm, running
from tests.adapters.programs import a_call
from tests.support import model_server
from tests.support.clock import ManualClock
from tests.support.model_server import USAGE, ModelServer
from tests.support.wait import wait_until

PATIENT = {"max_wait_ms": 3_600_000}


async def _failure(adapter: DspyAdapter, call: ProgramCall | None = None) -> AdapterError:
    with pytest.raises(AdapterError) as failed:
        await adapter.execute_program(call or a_call())
    return failed.value


def _saying(headers: Mapping[str, str], code: int = 200) -> model_server.Answer:
    """Answer well, or with a status, and with these headers."""

    async def answer(request: Any, call: model_server.Call) -> Any:
        of = model_server.well_formed() if code == 200 else model_server.status(code)
        response = await of(request, call)
        response.headers.update(headers)
        return response

    return answer


async def test_calls_of_a_minute_are_limited(server: ModelServer) -> None:
    """The next one waits until the first is a minute ago."""
    clock = ManualClock()
    async with running({"main": an_lm(server, requests_per_minute=2, **PATIENT)}, clock) as adapter:
        call = a_call()
        for _ in range(3):
            await adapter.execute_program(call)
    assert (len(server.completions), clock.slept) == (3, [60])
    assert call.told.waited_s == 60


async def test_who_would_wait_too_long_is_told_so_at_once(server: ModelServer) -> None:
    """`rate_limited`, with the time that it takes; the server and the metrics hear nothing."""
    metrics, lm = Metrics(), an_lm(server, requests_per_minute=1)
    async with running({"main": lm}, ManualClock(), metrics) as adapter:
        await adapter.execute_program(a_call())
        failure = await _failure(adapter)
    assert (failure.type, failure.retry_after) == (ErrorType.RATE_LIMITED, 60)
    assert failure.context == {"lm": "main", "limit": "requests_per_minute"}
    assert failure.message == "the LM main must not be asked yet"
    assert (failure.usage, len(server.completions)) == (Usage(), 1)
    page = metrics.page("")[0].decode()
    assert 'dspatch_lm_calls_total{lm="main",outcome="success"} 1.0' in page
    assert "rate_limited" not in page


async def test_who_waits_too_long_for_a_slot_is_told_so(server: ModelServer) -> None:
    """`overloaded`, within the time that the call has, so that it is no timeout of the server's."""
    server.script(model_server.hang())
    async with running({"main": an_lm(server, max_concurrency=1)}) as adapter:
        hung = asyncio.create_task(adapter.execute_program(a_call()))
        await wait_until(lambda: server.in_flight == 1)
        async with asyncio.timeout(2):
            failure = await _failure(adapter, a_call(timeout_s=2))
        hung.cancel()
        await asyncio.wait({hung})
    assert (failure.type, failure.retry_after) == (ErrorType.OVERLOADED, None)
    assert failure.context == {"lm": "main", "limit": "max_concurrency"}


async def test_tokens_of_a_minute_are_limited(server: ModelServer) -> None:
    """As the server counts them: two calls fit in, a third does not."""
    clock, tokens = ManualClock(), USAGE["total_tokens"]
    lm = an_lm(server, tokens_per_minute=2 * tokens + 5, **PATIENT)
    async with running({"main": lm}, clock) as adapter:
        await adapter.execute_program(a_call())
        assert clock.slept == []  # the first may be thought larger than it was
        await adapter.execute_program(a_call())
        await adapter.execute_program(a_call())
    assert sum(clock.slept) >= 60


async def test_a_share_is_kept_free_of_batches(server: ModelServer) -> None:
    """While batches wait for each other, an interactive call goes."""
    gate = asyncio.Event()
    server.always(model_server.after(gate, model_server.well_formed()))
    async with running({"main": an_lm(server, max_concurrency=5)}) as adapter:
        batch = replace(a_call(), priority=Priority.BATCH)
        calls = [asyncio.create_task(adapter.execute_program(batch)) for _ in range(9)]
        await wait_until(lambda: server.in_flight == 4)
        calls.append(asyncio.create_task(adapter.execute_program(a_call())))
        await wait_until(lambda: server.in_flight == 5)
        gate.set()
        await asyncio.gather(*calls)
    assert server.most_in_flight == 5


@pytest.mark.parametrize(
    ("headers", "limit"),
    [
        (
            {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "5s"},
            "requests_per_minute",
        ),
        (
            {"x-ratelimit-remaining-tokens": "3", "x-ratelimit-reset-tokens": "5000ms"},
            "tokens_per_minute",
        ),
        (
            {
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2026-01-05T00:00:05Z",
            },
            "requests_per_minute",
        ),
    ],
)
@pytest.mark.parametrize("code", [200, 500])
async def test_headers_of_the_server_are_kept_to(
    server: ModelServer, headers: Mapping[str, str], limit: str, code: int
) -> None:
    """What it says in any answer holds for all calls to come."""
    clock = ManualClock()
    server.script(_saying(headers, code))
    async with running({"main": an_lm(server, max_wait_ms=4_000)}, clock) as adapter:
        await asyncio.gather(adapter.execute_program(a_call()), return_exceptions=True)
        failure = await _failure(adapter)
        assert (failure.type, failure.retry_after) == (ErrorType.RATE_LIMITED, 5)
        assert failure.context["limit"] == limit
        clock.advance(2)
        await adapter.execute_program(a_call())
    assert (clock.slept, len(server.completions)) == ([3], 2)


async def test_who_has_a_substitute_is_told_at_once(server: ModelServer) -> None:
    """Another back-end may not have to wait; but what has been spent is not thrown away."""
    clock, lm = ManualClock(), an_lm(server, requests_per_minute=1, **PATIENT)
    async with running({"main": lm}, clock) as adapter:
        first, second = (replace(a_call(), has_substitute=True) for _ in range(2))
        await adapter.execute_program(first)
        failure = await _failure(adapter, second)
        assert (failure.type, failure.retry_after) == (ErrorType.RATE_LIMITED, 60)
        second.told.usage = Usage(lm_calls=1)
        await adapter.execute_program(second)
    assert clock.slept == [60]


@pytest.mark.parametrize("code", [429, 503])
async def test_a_pause_that_the_server_asks_for_holds_for_all(
    server: ModelServer, code: int
) -> None:
    """Not only for the call that was told so."""
    clock = ManualClock()
    server.script(model_server.status(code, headers={"Retry-After": "7"}))
    async with running({"main": an_lm(server)}, clock) as adapter:
        assert (await _failure(adapter)).retry_after == 7
        await adapter.execute_program(a_call())
    assert (clock.slept, len(server.completions)) == ([7], 2)


async def test_adapters_share_the_limits_of_an_lm(server: ModelServer) -> None:
    """However many of a process ask it."""
    lms, clock = {"main": an_lm(server, requests_per_minute=1)}, ManualClock()
    shared = AdapterSetup("", lms=lms, clock=clock, limiters=LMLimiters(lms, clock))
    second = AdapterSettings(kind="dspy")
    registry = AdapterRegistry.from_settings({"second": second}, shared)
    await registry.get("dspy").execute_program(a_call())
    with pytest.raises(AdapterError, match="must not be asked yet"):
        await registry.get("second").execute_program(a_call())
    await registry.cleanup()


def test_guesses_what_a_call_will_spend() -> None:
    """A token for four characters of the prompt, and what answers took lately."""
    guess = TokenGuess()
    assert guess.tokens("x" * 400) == 100
    for _ in range(100):
        guess.learn(50)
    assert guess.tokens("x" * 400) == 150
    guess.learn(150)
    assert guess.tokens("") == 60
