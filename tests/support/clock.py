"""Clocks that tests move."""

import asyncio
from datetime import UTC, datetime, timedelta

from typing_extensions import override


class ManualClock:
    """Stands still until somebody sleeps on it, which takes no time; `slept` lists for how long."""

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


class SteppedClock(ManualClock):
    """Stands still until the test lets time pass; who sleeps on it waits for that."""

    def __init__(self) -> None:
        super().__init__()
        self._passed = asyncio.Event()

    @override
    def advance(self, seconds: float) -> None:
        """Let time pass, and wake those whose sleep is over."""
        super().advance(seconds)
        self._passed.set()
        self._passed = asyncio.Event()

    @override
    async def sleep(self, seconds: float) -> None:
        """Wait until so much time has passed."""
        self.slept.append(seconds)
        until = self.monotonic() + seconds
        while self.monotonic() < until:
            await self._passed.wait()


class RestlessClock(ManualClock):
    """Takes no time, but lets others have their turn."""

    @override
    async def sleep(self, seconds: float) -> None:
        """Advance, and go on with the next turn of the event loop."""
        await super().sleep(seconds)
        await asyncio.sleep(0)
