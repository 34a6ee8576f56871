"""How long the calls of a program took lately."""

from collections import deque
from math import ceil

KEPT = 100
NEEDED = 20
"""Calls before their 95th percentile says something."""


class Latencies:
    """The durations of the last calls, in seconds."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=KEPT)

    def add(self, seconds: float) -> None:
        """Keep one, and forget the oldest."""
        self._seconds.append(seconds)

    def p95(self) -> float | None:
        """Give what 19 in 20 calls did not exceed; None where there are too few."""
        if len(self._seconds) < NEEDED:
            return None
        return sorted(self._seconds)[ceil(0.95 * len(self._seconds)) - 1]
