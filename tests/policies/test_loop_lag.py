import asyncio

from typing_extensions import override

from app.policies.loop_lag import INTERVAL_S, KEPT, LoopLag
from tests.support.clock import ManualClock


class _LateClock(ManualClock):
    """A clock whose sleeps oversleep as told, and then do not return any more."""

    def __init__(self, *late_s: float) -> None:
        super().__init__()
        self._late_s = list(late_s)
        self.is_done = asyncio.Event()

    @override
    async def sleep(self, seconds: float) -> None:
        if not self._late_s:
            self.is_done.set()
            await asyncio.Event().wait()
        self.advance(seconds + self._late_s.pop(0))


async def _measured(*late_s: float) -> LoopLag:
    clock = _LateClock(*late_s)
    lag = LoopLag(clock)
    measuring = asyncio.create_task(lag.measure())
    await clock.is_done.wait()
    measuring.cancel()
    return lag


async def test_the_last_and_the_worst_are_told() -> None:
    """A sleep of half a second that takes longer was late by the rest."""
    lag = await _measured(0.25, 2.0, 0.5)
    assert (lag.last_s, lag.worst_s) == (0.5, 2.0)


async def test_what_is_long_past_is_forgotten() -> None:
    """After fifteen seconds a stall does not count any more."""
    assert KEPT * INTERVAL_S == 15
    lag = await _measured(2.0, *[0.0] * KEPT)
    assert lag.worst_s == 0.0


def test_nothing_is_late_before_the_first_measurement() -> None:
    """Zero, so that a scrape finds a number."""
    lag = LoopLag(ManualClock())
    assert (lag.last_s, lag.worst_s) == (0.0, 0.0)
