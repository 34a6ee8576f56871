"""How much of a processor this process uses."""

import time
from collections import deque
from collections.abc import Callable

from app.policies.clock import Clock

INTERVAL_S = 1.0
WINDOW_S = 15.0
"""The time that `percent` looks back on; what was before the first look counts as idle."""


class ProcessorUse:
    """Looks once a second at the processor time that the process has spent in all its threads."""

    def __init__(self, clock: Clock, spent_s: Callable[[], float] = time.process_time) -> None:
        self._clock = clock
        self._spent_s = spent_s
        first = clock.monotonic(), spent_s()
        self._looks: deque[tuple[float, float]] = deque([first], round(WINDOW_S / INTERVAL_S))

    @property
    def percent(self) -> float:
        """The use of late; 100 is one processor, of which a process may use several."""
        began, spent_s = self._looks[0]
        passed_s = max(self._clock.monotonic() - began, WINDOW_S)
        return 100 * (self._spent_s() - spent_s) / passed_s

    async def measure(self) -> None:
        """Look without end."""
        while True:
            await self._clock.sleep(INTERVAL_S)
            self._looks.append((self._clock.monotonic(), self._spent_s()))
