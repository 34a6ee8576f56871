"""This process's share of the work that waits: engines that take jobs, and what their jobs run."""

from collections.abc import Sequence

from app.jobs.dispatcher import Dispatcher
from app.jobs.engine import Engine

LAST_WORD_S = 5.0
"""How long a closing process waits for a database that is away to take back its jobs."""


class Worker:
    """Works from `start` on; without engines there is nothing to do."""

    def __init__(self, engines: Sequence[Engine], dispatcher: Dispatcher) -> None:
        self._engines = engines
        self._dispatcher = dispatcher

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs that may end within the grace."""
        return self._dispatcher.is_idle

    def start(self) -> None:
        """Take jobs from now on."""
        for engine in self._engines:
            engine.start()

    def stop(self) -> None:
        """Take no more work, and give back the jobs; what runs goes on."""
        self._dispatcher.stop()
        for engine in self._engines:
            engine.stop()

    async def close(self) -> None:
        """Stop, and let other processes run at once what still runs here."""
        self.stop()
        for engine in self._engines:
            await engine.close(LAST_WORD_S)
        await self._dispatcher.close()
