"""This process's share of the work that waits: engines that take jobs, and what their jobs run."""

from collections.abc import Awaitable, Callable, Sequence
from random import Random

from app.actions.program_execution.runs import Runs
from app.database import Database
from app.jobs.dispatcher import Dispatcher
from app.jobs.engine import Engine, Queue
from app.models import Execution
from app.models.pending_executions import QUEUE, TASK
from app.policies.clock import Clock
from app.policies.drain import Drain, Stage
from app.settings import Settings

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

    async def until_idle(self) -> None:
        """Return when nothing runs."""
        await self._dispatcher.until_idle()

    def start(self) -> None:
        """Take jobs from now on."""
        for engine in self._engines:
            engine.start()

    def stop(self) -> None:
        """Take no more work, and give back the jobs; what runs goes on."""
        self._dispatcher.stop()
        for engine in self._engines:
            engine.stop()

    async def stop_with(self, drain: Drain) -> None:
        """Stop as soon as the process drains."""
        await drain.until(Stage.DRAINING)
        self.stop()

    async def close(self) -> None:
        """Stop, and let other processes run at once what still runs here."""
        self.stop()
        for engine in self._engines:
            await engine.close(LAST_WORD_S)
        await self._dispatcher.close()


def new_worker(
    database: Database,
    settings: Settings,
    runs: Runs,
    run: Callable[[Execution], Awaitable[None]],
    clock: Clock,
    random: Random,
) -> Worker:
    """Build the worker of a process that runs executions by `run`."""
    dispatcher = Dispatcher(database, runs, run, clock, settings.worker.concurrency)
    queues = [Queue(QUEUE, TASK, dispatcher, concurrency=1)] if settings.worker.embedded else []
    engines = [
        Engine(queue, settings.database, database, runs.owner_id, clock, random) for queue in queues
    ]
    return Worker(engines, dispatcher)
