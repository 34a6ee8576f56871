"""How long something usually takes, out of the last times that it was done."""

from collections import deque
from math import ceil

KEPT = 100


class UsualTime:
    """Keeps the last durations; adding one costs next to nothing, asking sorts them.

    It takes `needed` of them to say something.
    """

    def __init__(self, needed: int = 1) -> None:
        self._needed = needed
        self._durations_s: deque[float] = deque(maxlen=KEPT)

    def add(self, seconds: float) -> None:
        """Keep a duration."""
        self._durations_s.append(seconds)

    @property
    def p95_s(self) -> float | None:
        """The time within which 19 of 20 are done; None where too few have been."""
        if len(self._durations_s) < self._needed:
            return None
        return sorted(self._durations_s)[ceil(0.95 * len(self._durations_s)) - 1]
