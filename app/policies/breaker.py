"""A circuit breaker: what fails again and again is left alone, and tried now and then."""

import math
from datetime import datetime, timedelta
from enum import StrEnum
from types import TracebackType
from typing import Self

from app.policies.clock import Clock
from app.policies.usual_time import UsualTime

PROBE_S = 1.0
"""When to come again while a probe is under way: how it ends, nobody knows."""

ENOUGH_S = 0.2
"""A time that is held for enough as long as no call has shown what is."""


class BreakerState(StrEnum):
    """Where a breaker stands; in this order they are 0, 1 and 2 in the metrics."""

    CLOSED = "closed"
    """Every call passes."""
    HALF_OPEN = "half_open"
    """One call at a time passes, to see whether the failing is over."""
    OPEN = "open"
    """No call passes."""

    @property
    def level(self) -> int:
        """The state as a number that rises with the trouble."""
        return list(BreakerState).index(self)


class BreakerOpenError(Exception):
    """The call does not pass; in `retry_after_s` seconds one may."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"open for {retry_after_s:.3f} s")
        self.retry_after_s = retry_after_s


class Breaker:
    """Opens after `most` failures in a row, for `open_s` seconds; then a probe closes or opens it.

    Each move begins a new term; calls that began in an older one have no say in it.
    """

    def __init__(self, clock: Clock, most: float = 5, open_s: float = 10.0) -> None:
        self.failures = 0
        self.opens = 0
        self._clock = clock
        self._most = most
        self._open_s = open_s
        self._term = 0
        self._probe_at: float | None = None
        self._is_probing = False
        self._usual = UsualTime()
        self._crashed_at = -math.inf

    @property
    def state(self) -> BreakerState:
        """Where the breaker stands now."""
        if self._probe_at is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self._wait_s > 0 else BreakerState.HALF_OPEN

    @property
    def retry_at(self) -> datetime | None:
        """When an open breaker lets a probe pass, by the time of day."""
        wait_s = self._wait_s
        return self._clock.now() + timedelta(seconds=wait_s) if wait_s > 0 else None

    @property
    def _wait_s(self) -> float:
        return 0.0 if self._probe_at is None else self._probe_at - self._clock.monotonic()

    def admit(self) -> "Passage":
        """Let a call pass: it is made inside the passage, and says there how it ended.

        Raises BreakerOpenError.
        """
        if self._probe_at is not None:
            wait_s = self._wait_s
            if wait_s > 0 or self._is_probing:
                raise BreakerOpenError(max(wait_s, 0) or PROBE_S)
            self._is_probing = True
        return Passage(self, self._term, self._clock)

    def reset(self) -> None:
        """Close, whatever has been."""
        self._move(None)

    def succeeded(self, term: int, took_s: float) -> None:
        """Hear that a call succeeded, which took the back-end so long."""
        self._usual.add(took_s)
        if term == self._term:
            self.failures = 0
            if self._probe_at is not None:
                self._move(None)

    def failed(self, term: int) -> None:
        """Hear that a call failed by no fault of its caller."""
        if term == self._term:
            self.failures += 1
            if self._probe_at is not None or self.failures >= self._most:
                self.opens += 1
                self._move(self._clock.monotonic() + self._open_s)

    def crashed(self, term: int, began: float) -> None:
        """Hear that a call was lost with the process that ran it.

        One crash takes many calls with it: those that began before the last one counted are part
        of it.
        """
        if began >= self._crashed_at:
            self._crashed_at = self._clock.monotonic()
            self.failed(term)

    def timed_out(self, term: int, had_s: float) -> None:
        """Hear that a call was given up; it failed, if the time that it had is usually enough."""
        usual_s = self._usual.p95_s
        if had_s >= (ENOUGH_S if usual_s is None else usual_s):
            self.failed(term)

    def left(self, term: int) -> None:
        """Hear that a call has ended, however it did."""
        if term == self._term:
            self._is_probing = False

    def _move(self, probe_at: float | None) -> None:
        self._term += 1
        self._probe_at = probe_at
        self._is_probing = False
        if probe_at is None:
            self.failures = 0


class Passage:
    """One call on its way; whatever it does not say of its end is nothing to the breaker.

    `waited_s` is for how long of its time the back-end had not been asked yet.
    """

    def __init__(self, breaker: Breaker, term: int, clock: Clock) -> None:
        self._breaker = breaker
        self._term = term
        self._clock = clock
        self._began = clock.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._breaker.left(self._term)

    def succeeded(self, waited_s: float = 0.0) -> None:
        """Say that it succeeded."""
        self._breaker.succeeded(self._term, self._took_s - waited_s)

    def failed(self) -> None:
        """Say that it failed by no fault of its caller."""
        self._breaker.failed(self._term)

    def crashed(self) -> None:
        """Say that it was lost with the process that ran it."""
        self._breaker.crashed(self._term, self._began)

    def timed_out(self, waited_s: float = 0.0) -> None:
        """Say that its time was over."""
        self._breaker.timed_out(self._term, self._took_s - waited_s)

    @property
    def _took_s(self) -> float:
        return self._clock.monotonic() - self._began
