import asyncio

import pytest
from typing_extensions import override

from app.policies.processor_use import INTERVAL_S, WINDOW_S, ProcessorUse
from tests.support.clock import ManualClock


class BusyClock(ManualClock):
    """A clock on which the process spends so much of each second, and then sleeps for ever."""

    def __init__(self, *shares: float) -> None:
        super().__init__()
        self.spent_s = 0.0
        self.is_done = asyncio.Event()
        self._shares = list(shares)

    @override
    async def sleep(self, seconds: float) -> None:
        if not self._shares:
            self.is_done.set()
            await asyncio.Event().wait()
        self.spent_s += seconds * self._shares.pop(0)
        await super().sleep(seconds)


async def _percent(*shares: float) -> float:
    clock = BusyClock(*shares)
    use = ProcessorUse(clock, lambda: clock.spent_s)
    measuring = asyncio.create_task(use.measure())
    await clock.is_done.wait()
    measuring.cancel()
    return use.percent


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ([], 0.0),
        ([1.0] * 3, 20.0),
        ([0.5] * 60, 50.0),
        ([2.0] * 60, 200.0),
        ([1.0] * 60 + [0.0] * 15, 0.0),
    ],
    ids=["new", "at the start", "half", "two processors", "idle of late"],
)
async def test_the_use_is_that_of_the_last_seconds(shares: list[float], expected: float) -> None:
    """What was before the start counts as idle, so that a start does not look like a load."""
    assert INTERVAL_S == 1
    assert WINDOW_S == 15
    # From the oldest of fifteen looks, a second apart, fourteen seconds have passed.
    assert await _percent(*shares) == pytest.approx(expected, rel=1 / 14)


async def test_a_loop_that_is_late_is_no_smaller_use() -> None:
    """The time that has passed is measured, not counted."""
    clock = ManualClock()
    use = ProcessorUse(clock, clock.monotonic)
    clock.advance(60)
    assert use.percent == 100.0
