"""The time that is left for the whole of an execution."""

from app.policies.clock import Clock


class Deadline:
    """A moment on the monotonic clock, `seconds` from now."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._at = clock.monotonic() + seconds

    @property
    def remaining_s(self) -> float:
        """Seconds left, never below 0."""
        return max(0.0, self._at - self._clock.monotonic())

    def cap(self, seconds: float) -> float:
        """Cut a duration to what is left."""
        return min(seconds, self.remaining_s)
