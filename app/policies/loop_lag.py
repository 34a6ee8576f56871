"""How late the event loop comes to what is due: what blocks it delays every request alike."""

from collections import deque

from app.policies.clock import Clock

INTERVAL_S = 0.5
KEPT = 30
"""Measurements that `worst_s` looks back on: fifteen seconds, the usual distance of two scrapes."""


class LoopLag:
    """Measures, twice a second, by how much a sleep overslept."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._measured: deque[float] = deque([0.0], maxlen=KEPT)

    @property
    def last_s(self) -> float:
        """The newest measurement, in seconds."""
        return self._measured[-1]

    @property
    def worst_s(self) -> float:
        """The largest of the last fifteen seconds, so that a scrape misses no stall."""
        return max(self._measured)

    async def measure(self) -> None:
        """Measure without end."""
        while True:
            began = self._clock.monotonic()
            await self._clock.sleep(INTERVAL_S)
            lag_s = self._clock.monotonic() - began - INTERVAL_S
            self._measured.append(max(0.0, lag_s))
