"""How the engine's workers reach the jobs: fenced, and patient while the database is away."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from procrastinate.connector import BaseConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job, Notification, Status
from procrastinate.manager import JobManager, NotificationCallback
from typing_extensions import override

from app.database import Database
from app.errors import DatabaseUnavailableError
from app.policies.clock import Clock
from app.stores.jobs import JobRun
from app.stores.transaction import Transaction

logger = logging.getLogger(__name__)

AGAIN_AFTER_S = 0.5
LISTEN_AGAIN_S = 1.0

T = TypeVar("T")


class WorkerDeadError(Exception):
    """The worker was given up with its process: nothing that it takes would be its own."""


class FencedJobs(JobManager):
    """Takes jobs for a worker that lives, and ends those alone that are still the worker's.

    The engine's own way compares the number of the job only, so that a worker that was frozen ends
    what another runs; it prunes workers whose event loop was blocked; and its worker stops, with
    all that it runs, when the database is away.
    """

    def __init__(
        self,
        connector: BaseConnector,
        database: Database,
        queue: str,
        process_id: Callable[[], UUID],
        clock: Clock,
    ) -> None:
        super().__init__(connector)
        self._database = database
        self._queue = queue
        self._process_id = process_id
        self._clock = clock
        self._taken = set[int]()
        self._is_certain = True
        self._is_hurried = False
        self._news = 0

    @override
    async def register_worker(self) -> int:
        async with self._database.transaction() as tx:
            return await tx.jobs.add_worker(self._process_id(), self._queue)

    @override
    async def unregister_worker(self, worker_id: int) -> None:
        """Drop a worker, and let others take at once what it could not end."""

        async def drop(tx: Transaction) -> None:
            await tx.jobs.drop_worker(worker_id)
            await tx.jobs.take_back_lost()

        await self._patiently(drop)

    @override
    async def update_heartbeat(self, worker_id: int) -> None:
        """Leave it to the process, whose heart beats beside the event loop."""

    @override
    async def prune_stalled_workers(self, seconds_since_heartbeat: float) -> list[int]:
        """Leave it to the sweep, which asks for the process."""
        return []

    @override
    async def listen_for_jobs(
        self, *, on_notification: NotificationCallback, queues: Iterable[str] | None = None
    ) -> None:
        """Hear of jobs; where the connection is lost, there is one again sooner or later."""

        async def hear(*, channel: str, notification: Notification) -> None:
            self._news += 1
            await on_notification(channel=channel, notification=notification)

        while True:
            try:
                await super().listen_for_jobs(on_notification=hear, queues=queues)
            except ConnectorException as error:
                if (task := asyncio.current_task()) is not None and task.cancelling():
                    raise asyncio.CancelledError from error  # a lost connection hides that
                logger.warning("nobody tells of jobs in %s: %r", self._queue, error.__cause__)
            await self._clock.sleep(LISTEN_AGAIN_S)

    @override
    async def list_jobs_to_abort_async(self, queue: str | None = None) -> Iterable[int]:
        try:
            async with self._database.transaction() as tx:
                return await tx.jobs.list_to_abort()
        except DatabaseUnavailableError:  # the database's module has logged it
            return []

    @override
    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        """Take the next job; look again where there was news meanwhile: the worker forgets it."""
        while True:
            before = self._news
            row = await self._patiently(partial(self._fetch, list(queues or ()), worker_id))
            self._is_certain = True
            if row is None:
                raise WorkerDeadError(f"worker {worker_id} is not known any more")
            if row["id"] is not None:
                self._taken.add(row["id"])
                return Job.from_row(dict(row))
            if self._news == before:
                return None

    async def _fetch(
        self, queues: list[str], worker_id: int, tx: Transaction
    ) -> Mapping[str, Any] | None:
        """Take a job; give back first what was taken when the answer to that was lost."""
        if not self._is_certain:
            await tx.jobs.give_back_others(worker_id, self._taken)
        self._is_certain = False
        return await tx.jobs.fetch(queues, worker_id)

    @override
    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:
        async def finish(run: JobRun, tx: Transaction) -> bool:
            return await tx.jobs.finish(run, status.value)

        await self._end(job, finish)

    @override
    async def retry_job(
        self,
        job: Job,
        retry_at: datetime | None = None,
        priority: int | None = None,
        queue: str | None = None,
        lock: str | None = None,
    ) -> None:
        """Give a job back: whoever is free may take it at once."""

        async def give_back(run: JobRun, tx: Transaction) -> bool:
            return await tx.jobs.give_back(run)

        await self._end(job, give_back)

    def hurry(self) -> None:
        """Wait for the database no longer; what was not said is found out by the others' sweep."""
        self._is_hurried = True

    async def _end(self, job: Job, end: Callable[[JobRun, Transaction], Awaitable[bool]]) -> None:
        assert job.id is not None  # noqa: S101 - it was fetched
        assert job.worker_id is not None  # noqa: S101 - as above
        run = JobRun(job.id, job.worker_id, job.attempts)
        if not await self._patiently(partial(end, run)):
            logger.warning("job %s is not this worker's any more", job.call_string)
        self._taken.discard(job.id)

    async def _patiently(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Do it in a transaction, again and again while the database is away."""
        while True:
            try:
                async with self._database.transaction() as tx:
                    return await work(tx)
            except DatabaseUnavailableError:
                if self._is_hurried:
                    raise
            await self._clock.sleep(AGAIN_AFTER_S)
