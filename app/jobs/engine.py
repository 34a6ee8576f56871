"""The engine's worker of one queue in this process, started again whenever it fails."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from random import Random
from uuid import UUID

from procrastinate import App, PsycopgConnector

from app.database import Database
from app.errors import DatabaseUnavailableError
from app.jobs.manager import FencedJobs
from app.jobs.retry import GiveBack, GivenBackError
from app.policies.clock import Clock
from app.settings import DatabaseSettings

logger = logging.getLogger(__name__)

POLL_S = 5.0
"""How often jobs are looked for that nobody told of."""
BROKEN_AFTER_S = 15.0
"""How long a connection on which nothing is acknowledged is taken for one."""

AGAIN_AFTER_S = 1.0
"""The pause before a job is given back that met an outage."""

CONNECTIONS_PER_QUEUE = 2
"""One takes jobs, on one it listens for them."""

LAST_WORD_S = 5.0
"""How long a closing process waits for a database that is away to take back its jobs."""

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0


@dataclass(frozen=True)
class Queue:
    """A queue: its task, what a job of it does, and how many of them at once in this process.

    A job that is told to stop has `grace_s` to give itself back; then it is cancelled. By `cron`,
    in UTC, there is a job now and then, whatever the number of processes that take jobs.
    """

    name: str
    task: str
    work: Callable[[], Awaitable[None]]
    concurrency: int
    grace_s: float = 5.0
    cron: str | None = None


@dataclass(frozen=True)
class Engines:
    """Makes the engines of one process, which know its jobs by the id that it has."""

    settings: DatabaseSettings
    database: Database
    process_id: Callable[[], UUID]
    clock: Clock
    random: Random

    def make(self, queue: Queue) -> "Engine":
        """Make one that is not started."""
        return Engine(queue, self.settings, self.database, self.process_id, self.clock, self.random)

    def run(self, queue: Queue, stack: AsyncExitStack) -> None:
        """Take the jobs of a queue from now on, until the stack closes."""
        engine = self.make(queue)
        stack.push_async_callback(engine.close, LAST_WORD_S)
        engine.start()


class Engine:
    """Takes the jobs of one queue for this process.

    A worker that ends without being told to, as one whose process was given up, is followed by
    another, which enters under the id that the process has then.
    """

    def __init__(
        self,
        queue: Queue,
        settings: DatabaseSettings,
        database: Database,
        process_id: Callable[[], UUID],
        clock: Clock,
        random: Random,
    ) -> None:
        self._queue = queue
        self._settings = settings
        self._database = database
        self._process_id = process_id
        self._clock = clock
        self._random = random
        self._jobs: FencedJobs | None = None
        self._working: asyncio.Task[None] | None = None
        self._is_stopped = False

    def start(self) -> None:
        """Take jobs from now on."""
        self._working = asyncio.create_task(self._work_on(), name=f"jobs of {self._queue.name}")

    def stop(self) -> None:
        """Take no more jobs; those that run may end within the grace of their queue."""
        if self._working is not None and not self._is_stopped:
            self._is_stopped = True
            self._working.cancel()

    async def close(self, within_s: float) -> None:
        """Stop, and return when all jobs are given back.

        A database that is away is not waited for longer than `within_s`.
        """
        self.stop()
        if self._working is None:
            return
        await asyncio.wait({self._working}, timeout=within_s)
        if self._jobs is not None:
            self._jobs.hurry()
        await asyncio.wait({self._working})

    async def _work_on(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._is_stopped:
            began = self._clock.monotonic()
            try:
                await self._work()
            except Exception as error:  # noqa: BLE001 - whatever it is, there shall be a worker
                logger.warning("the worker of %s failed: %r", self._queue.name, error)
            if self._clock.monotonic() - began > LONGEST_PAUSE_S:
                pause_s = FIRST_PAUSE_S  # it was well meanwhile
            await self._clock.sleep(self._random.uniform(pause_s / 2, pause_s))
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _work(self) -> None:
        """Have one worker take jobs until it fails; cancelled, it gives back what it runs."""
        connector = self._connector()
        app = App(connector=connector)
        app.job_manager = self._jobs = FencedJobs(
            connector, self._database, self._queue.name, self._process_id, self._clock
        )

        @app.task(name=self._queue.task, queue=self._queue.name, retry=GiveBack())
        async def work(timestamp: int = 0) -> None:  # noqa: ARG001 - when a periodic one was due
            try:
                await self._queue.work()
            except DatabaseUnavailableError:  # no failure of the job: it is taken again
                await self._clock.sleep(AGAIN_AFTER_S)
                raise GivenBackError from None

        if self._queue.cron is not None:
            app.periodic(cron=self._queue.cron)(work)
        async with app.open_async():
            await app.run_worker_async(
                name=self._queue.name,
                queues=[self._queue.name],
                concurrency=self._queue.concurrency,
                fetch_job_polling_interval=POLL_S,
                shutdown_graceful_timeout=self._queue.grace_s,
                install_signal_handlers=False,
                delete_jobs="always",
            )

    def _connector(self) -> PsycopgConnector:
        """Make the engine's own way to the database, on which it listens."""
        assert self._settings.url is not None  # noqa: S101 - the database was opened with it
        address = self._settings.url.get_secret_value()
        timeout_s = self._settings.pool_timeout_ms / 1_000
        return PsycopgConnector(
            conninfo=address.replace("postgresql+asyncpg://", "postgresql://", 1),
            min_size=0,
            max_size=1,
            kwargs={
                "connect_timeout": max(2, round(timeout_s)),
                "tcp_user_timeout": round(BROKEN_AFTER_S * 1_000),
                "application_name": f"dspatch jobs of {self._queue.name}",
            },
        )
