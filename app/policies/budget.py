"""A budget of retries: what fails is tried again only while most calls are no retries."""

from collections import deque
from dataclasses import dataclass

from app.policies.clock import Clock

SLICES = 10
"""Parts of the window that are forgotten one by one."""


@dataclass
class _Slice:
    number: int
    calls: int = 0
    retries: int = 0


class RetryBudget:
    """Of the calls within `window_s`, retries may be `share` of the others; `floor` always may.

    The floor keeps little traffic from going without.
    """

    def __init__(
        self, clock: Clock, share: float = 0.2, floor: int = 10, window_s: float = 10.0
    ) -> None:
        self._clock = clock
        self._share = share
        self._floor = floor
        self._slice_s = window_s / SLICES
        self._slices: deque[_Slice] = deque([_Slice(0)])
        self._calls = 0
        self._retries = 0

    def called(self) -> None:
        """Hear of a call that is no retry."""
        self._now().calls += 1
        self._calls += 1

    def take(self) -> bool:
        """Take a retry out of the budget; False where there is none left."""
        now = self._now()
        if self._retries + 1 > max(self._floor, self._share * self._calls):
            return False
        now.retries += 1
        self._retries += 1
        return True

    def _now(self) -> _Slice:
        """Give the slice of now, and forget those that are out of the window."""
        number = int(self._clock.monotonic() / self._slice_s)
        slices = self._slices
        if slices[-1].number != number:
            slices.append(_Slice(number))
        while slices[0].number < number - SLICES:
            old = slices.popleft()
            self._calls -= old.calls
            self._retries -= old.retries
        return slices[-1]
