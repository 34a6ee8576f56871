"""How long something usually takes, out of the last times that it was done."""

from collections import deque
from math import ceil

KEPT = 128


class UsualTime:
    """Keeps the last durations; adding one costs next to nothing, asking sorts them."""

    def __init__(self) -> None:
        self._durations_s: deque[float] = deque(maxlen=KEPT)

    def add(self, seconds: float) -> None:
        """Keep a duration."""
        self._durations_s.append(seconds)

    @property
    def p95_s(self) -> float:
        """The time within which 19 of 20 are done; 0 where none has been."""
        ordered = sorted(self._durations_s)
        return ordered[ceil(0.95 * len(ordered)) - 1] if ordered else 0.0
