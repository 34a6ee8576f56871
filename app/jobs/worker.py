"""This process's share of the work that waits: engines that take jobs, and what their jobs run."""

import asyncio
from collections.abc import Sequence
from typing import ClassVar, Protocol

from app.jobs.engine import LAST_WORD_S, Engine, Engines, Queue
from app.policies.drain import Drain, Stage


class Dispatching(Protocol):
    """What runs in this process on account of jobs of its queue, and outlives them."""

    queue: ClassVar[str]
    task: ClassVar[str]

    async def __call__(self) -> None:
        """Do what a job asks for."""
        ...

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs."""
        ...

    async def until_idle(self) -> None:
        """Return when nothing runs."""
        ...

    def stop(self) -> None:
        """Take no more; what runs goes on."""
        ...

    async def close(self) -> None:
        """Stop what runs, and let other processes run it at once."""
        ...


class Worker:
    """Works from `start` on; without engines there is nothing to do."""

    def __init__(self, engines: Sequence[Engine], dispatchers: Sequence[Dispatching]) -> None:
        self._engines = engines
        self._dispatchers = dispatchers

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs that may end within the grace."""
        return all(dispatcher.is_idle for dispatcher in self._dispatchers)

    async def until_idle(self) -> None:
        """Return when nothing runs."""
        await asyncio.gather(*(dispatcher.until_idle() for dispatcher in self._dispatchers))

    def start(self) -> None:
        """Take jobs from now on."""
        for engine in self._engines:
            engine.start()

    def stop(self) -> None:
        """Take no more work, and give back the jobs; what runs goes on."""
        for dispatcher in self._dispatchers:
            dispatcher.stop()
        for engine in self._engines:
            engine.stop()

    async def stop_with(self, drain: Drain) -> None:
        """Stop as soon as the process drains."""
        await drain.until(Stage.DRAINING)
        self.stop()

    async def close(self) -> None:
        """Stop, and let other processes run at once what still runs here."""
        self.stop()
        await asyncio.gather(*(engine.close(LAST_WORD_S) for engine in self._engines))
        await asyncio.gather(*(dispatcher.close() for dispatcher in self._dispatchers))


def new_worker(engines: Engines, dispatchers: Sequence[Dispatching], *, works: bool) -> Worker:
    """Build the worker of a process, with an engine for each dispatcher where it shall work."""
    queues = [
        Queue(dispatcher.queue, dispatcher.task, dispatcher, concurrency=1)
        for dispatcher in dispatchers
    ]
    return Worker([engines.make(queue) for queue in queues] if works else [], dispatchers)
