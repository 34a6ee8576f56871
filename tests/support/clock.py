"""A clock that tests move: sleeping takes no time but advances it."""

from datetime import UTC, datetime, timedelta


class ManualClock:
    """Stands still until somebody sleeps on it; `slept` lists for how long."""

    def __init__(self, now: datetime = datetime(2026, 1, 5, tzinfo=UTC)) -> None:
        self._start = now
        self._elapsed_s = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._elapsed_s

    def now(self) -> datetime:
        """The start and what has elapsed since."""
        return self._start + timedelta(seconds=self._elapsed_s)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._elapsed_s += seconds

    async def sleep(self, seconds: float) -> None:
        """Advance at once."""
        self.slept.append(seconds)
        self.advance(seconds)
