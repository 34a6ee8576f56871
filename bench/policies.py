"""What the policies before an adapter and an LM cost: CPU of one call that nothing holds up.

`python -m bench.policies`
"""

import asyncio
from collections.abc import Awaitable, Callable
from time import process_time
from typing import Any, cast
from uuid import uuid4

from app.adapters.base import Adapter, Program, ProgramCall
from app.adapters.guarded import GuardedAdapter
from app.adapters.registry import AdapterRegistry
from app.adapters.setup import AdapterSetup
from app.policies.breaker import Breaker
from app.policies.clock import SystemClock
from app.policies.limiter import Limiter
from app.policies.limits import Limits
from app.settings import AdapterSettings
from app.signatures.notation import parse_notation

CALLS = 50_000
ROUNDS = 5
DEAD = {
    "kind": "mock",
    "error": {"type": "connection_failed"},
    "breaker": {"failures": 1, "open_ms": 3_600_000},
}
PROGRAM = Program(uuid4(), 1, "p", "predict", parse_notation("question: string -> a: string", ""))
ALL_LIMITS = Limits(64, 10**9, 10**12, 0.2, 10)


class Instant:
    """An adapter that answers at once."""

    name = kind = "instant"

    async def execute_program(self, _: ProgramCall) -> None:
        """Answer."""


async def cpu_us(work: Callable[[], Awaitable[Any]]) -> float:
    """Give the CPU of one call in microseconds: the least of the rounds."""
    rounds = []
    for _ in range(ROUNDS):
        began = process_time()
        for _ in range(CALLS):
            await work()
        rounds.append((process_time() - began) * 1e6 / CALLS)
    return min(rounds)


def a_call() -> ProgramCall:
    """Give a call of a program."""
    return ProgramCall(PROGRAM, {"question": "x"}, timeout_s=30)


def calling(limiter: Limiter | None) -> Callable[[], Awaitable[Any]]:
    """Give a call of a guarded adapter."""
    clock, inner = SystemClock(), cast("Adapter", Instant())
    adapter = GuardedAdapter(inner, Breaker(clock), limiter, clock)
    call = a_call()
    return lambda: adapter.execute_program(call)


def taking(limiter: Limiter) -> Callable[[], Awaitable[None]]:
    """Give a turn that is taken and given back."""

    async def take() -> None:
        async with limiter.turn(tokens=100) as turn:
            turn.spent = 90

    return take


async def failing_over() -> tuple[Callable[[], Awaitable[Any]], Callable[[], Awaitable[Any]]]:
    """Give a call of a mock, and one of a failover whose first member is dead, its breaker open."""
    settings = {
        "dead": AdapterSettings.model_validate(DEAD),
        "safe": AdapterSettings.model_validate({"kind": "failover", "members": ["dead", "mock"]}),
    }
    registry = AdapterRegistry.from_settings(settings, AdapterSetup(""))
    mock, safe = registry.get("mock"), registry.get("safe")
    for _ in range(2):
        await safe.execute_program(a_call())
    return lambda: mock.execute_program(a_call()), lambda: safe.execute_program(a_call())


async def main() -> None:
    """Measure and print."""
    clock, instant = SystemClock(), Instant()
    call = cast("ProgramCall", None)
    slots = Limits(max_concurrency=64, max_wait_s=10)
    alone, safe = await failing_over()
    for name, work in {
        "an adapter that answers at once": lambda: instant.execute_program(call),
        "the same, guarded": calling(None),
        "guarded, with max_concurrency": calling(Limiter(clock, slots)),
        "a turn at an LM": taking(Limiter(clock, slots)),
        "a turn with limits of a minute": taking(Limiter(clock, ALL_LIMITS)),
        "a mock, guarded": alone,
        "a failover to it, the first dead": safe,
    }.items():
        print(f"{name:35} {await cpu_us(work):6.2f} us")


if __name__ == "__main__":
    asyncio.run(main())
