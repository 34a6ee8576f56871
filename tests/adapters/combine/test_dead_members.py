"""A first member that is dead: what it costs to do without it, and when it is back."""

from statistics import median
from time import perf_counter

from app.adapters.base import Adapter, Program
from app.adapters.mock import MockAdapter
from app.adapters.registry import AdapterRegistry
from app.adapters.setup import AdapterSetup
from app.settings import AdapterSettings
from tests.adapters.combine.combining import failure_of
from tests.adapters.programs import a_call, a_program
from tests.support.clock import ManualClock

DEAD = {
    "kind": "mock",
    "error": {"type": "connection_failed"},
    "breaker": {"failures": 5, "open_ms": 10_000},
}
MOST_ADDED_MS = 2


def build(clock: ManualClock) -> AdapterRegistry:
    """Build a failover whose first member is dead, and has a breaker."""
    settings = {
        "dead": AdapterSettings.model_validate(DEAD),
        "safe": AdapterSettings.model_validate({"kind": "failover", "members": ["dead", "mock"]}),
    }
    return AdapterRegistry.from_settings(settings, AdapterSetup("", clock=clock))


async def milliseconds(adapter: Adapter, program: Program) -> float:
    """Measure how long a call takes, at the median of many."""
    spent = []
    for _ in range(200):
        began = perf_counter()
        await adapter.execute_program(a_call(program))
        spent.append(perf_counter() - began)
    return median(spent) * 1_000


async def test_a_dead_first_member_costs_less_than_two_milliseconds() -> None:
    """Once its breaker is open, the others answer about as fast as without it."""
    registry = build(ManualClock())
    program, safe = a_program(), registry.get("safe")
    for _ in range(5):
        await failure_of(registry.get("dead"), a_call(program))
    alone = await milliseconds(registry.get("mock"), program)
    added = await milliseconds(safe, program) - alone
    assert registry.get("dead").breaker.failures == 5
    assert added < MOST_ADDED_MS


async def test_traffic_returns_within_one_probe_interval() -> None:
    """The first call after the interval is the probe; where it is well, it answers all again."""
    clock = ManualClock()
    registry, program = build(clock), a_program()
    safe, dead = registry.get("safe"), registry.get("dead")

    async def answers() -> str:
        return (await safe.execute_program(a_call(program))).adapter

    assert [await answers() for _ in range(6)] == ["mock"] * 6
    dead.inner = MockAdapter(AdapterSetup("dead", clock=clock))
    clock.advance(9.9)
    assert await answers() == "mock"
    clock.advance(0.2)
    assert [await answers() for _ in range(3)] == ["dead"] * 3


async def test_a_reset_brings_a_member_back_at_once() -> None:
    """An open breaker is no rest that was asked for: whoever closes it is believed."""
    registry, program = build(ManualClock()), a_program()
    safe, dead = registry.get("safe"), registry.get("dead")
    for _ in range(6):
        await safe.execute_program(a_call(program))
    dead.inner = MockAdapter(AdapterSetup("dead", clock=ManualClock()))
    dead.reset()
    assert (await safe.execute_program(a_call(program))).adapter == "dead"
