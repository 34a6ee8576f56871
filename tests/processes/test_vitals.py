from app.processes.vitals import Vitals
from tests.support.clock import ManualClock
from tests.support.health import MB, a_footprint


async def test_the_cost_is_learnt_from_what_is_held() -> None:
    """Of the process and its children."""
    held = [100 * MB, 130 * MB]
    vitals = Vitals(ManualClock(), lambda: a_footprint(total_bytes=held.pop(0)))
    await vitals.observe_cost(0)
    await vitals.observe_cost(10)
    assert vitals.cost.bytes == 3 * MB


async def test_a_process_reads_itself() -> None:
    """Where nothing else is given to be read."""
    clock = ManualClock()
    vitals = Vitals(clock)
    clock.advance(2)
    assert (await vitals.footprint()).process_bytes > MB
    assert vitals.uptime_s == 2
