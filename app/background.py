"""This process's long-lived tasks, each with a name, watched and started again when it fails."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from random import Random

from app.errors import DatabaseUnavailableError
from app.policies.clock import Clock

logger = logging.getLogger(__name__)

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0

Work = Callable[[], Awaitable[None]]


class Background:
    """Runs named tasks until it is closed; one that returns is done, one that raises runs again."""

    def __init__(self, clock: Clock, random: Random) -> None:
        self._clock = clock
        self._random = random
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._paused: set[str] = set()

    def start(self, name: str, work: Work) -> None:
        """Start a task under a name of its own."""
        if name in self._tasks:
            raise ValueError(f"there is a task {name} already")
        self._tasks[name] = asyncio.create_task(self._supervise(name, work), name=name)

    def is_done(self, name: str) -> bool:
        """Tell whether a task has done its work."""
        return self._tasks[name].done()

    def running(self) -> Mapping[str, bool]:
        """Say of each task that is not done whether it runs, or waits to start again."""
        return {
            name: name not in self._paused for name, task in self._tasks.items() if not task.done()
        }

    async def close(self) -> None:
        """Cancel what still runs and await its end."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _supervise(self, name: str, work: Work) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            began = self._clock.monotonic()
            try:
                return await work()
            except Exception:
                logger.exception("the task %s failed; it starts again", name)
            if self._clock.monotonic() - began > LONGEST_PAUSE_S:
                pause_s = FIRST_PAUSE_S  # it was well meanwhile
            self._paused.add(name)
            await self._clock.sleep(self._random.uniform(pause_s / 2, pause_s))
            self._paused.discard(name)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)


def repeatedly(seconds: float, work: Work, clock: Clock, random: Random) -> Work:
    """Make work that is done about every `seconds`, whatever becomes of a round.

    A quarter more or less is left to chance, so that processes do not work in step.
    """

    async def repeat() -> None:
        while True:
            await clock.sleep(seconds * random.uniform(0.75, 1.25))
            try:
                with suppress(DatabaseUnavailableError):  # the database's module has logged it
                    await work()
            except Exception:
                logger.exception("a round of repeated work failed; the next one will come")

    return repeat
