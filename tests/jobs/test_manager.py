"""The fenced way to the jobs: what is another's is left alone, what is ours is said in the end."""

import asyncio
import logging
from uuid import UUID

import pytest
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job, Notification, Status
from procrastinate.testing import InMemoryConnector
from sqlalchemy import text
from typing_extensions import override

from app.database import Database
from app.errors import DatabaseUnavailableError
from app.jobs.manager import FencedJobs, WorkerDeadError
from app.policies.clock import Clock, SystemClock
from app.settings import Settings
from tests.jobs.conftest import QUEUE, wake_up
from tests.support.clock import RestlessClock
from tests.support.outage import a_leaving_database
from tests.support.wait import wait_until


def manager(database: Database, process_id: UUID, clock: Clock | None = None) -> FencedJobs:
    """Make the manager of a worker of a process."""
    clock = clock or SystemClock()
    return FencedJobs(InMemoryConnector(), database, QUEUE, lambda: process_id, clock)


async def taken(jobs: FencedJobs, database: Database) -> Job:
    """Take a job by a worker of its own."""
    await wake_up(database)
    job = await jobs.fetch_job([QUEUE], await jobs.register_worker())
    assert job is not None
    return job


async def test_a_worker_takes_what_waits(database: Database, process_id: UUID) -> None:
    """And nothing where nothing does."""
    jobs = manager(database, process_id)
    job = await taken(jobs, database)
    assert (job.queue, job.status, job.attempts) == (QUEUE, "doing", 0)
    assert job.worker_id is not None
    assert await jobs.fetch_job([QUEUE], job.worker_id) is None


async def test_news_of_a_job_while_it_looks_is_not_forgotten(
    database: Database, settings: Settings, process_id: UUID
) -> None:
    """The worker forgets what it was told while it looked, and would wait: so it looks again."""
    heard: list[str] = []

    async def hear(*, channel: str, notification: Notification) -> None:
        heard.append(f"{channel}: {notification['type']}")

    async with a_leaving_database(settings) as between:
        jobs = manager(between, process_id)
        listening = asyncio.create_task(jobs.listen_for_jobs(on_notification=hear, queues=[QUEUE]))
        worker_id = await jobs.register_worker()
        connector = jobs.connector
        assert isinstance(connector, InMemoryConnector)

        async def tell() -> None:
            await wake_up(database)
            payload = '{"type": "job_inserted", "job_id": 1}'
            assert connector.on_notification is not None
            await connector.on_notification(channel=QUEUE, payload=payload)

        between.after_next.append(tell)
        assert await jobs.fetch_job([QUEUE], worker_id) is not None
        listening.cancel()
    assert heard == [f"{QUEUE}: job_inserted"]


async def test_a_worker_that_was_dropped_is_told(database: Database, process_id: UUID) -> None:
    """What it had goes to others at once."""
    jobs = manager(database, process_id)
    job = await taken(jobs, database)
    assert job.worker_id is not None
    await jobs.unregister_worker(job.worker_id)
    with pytest.raises(WorkerDeadError):
        await jobs.fetch_job([QUEUE], job.worker_id)
    async with database.transaction() as tx:
        assert await tx.jobs.count_waiting() == {QUEUE: 1}


async def test_a_zombie_ends_nothing(
    database: Database, process_id: UUID, caplog: pytest.LogCaptureFixture
) -> None:
    """Its job is another's by now, and stays so; that stands in the log."""
    caplog.set_level(logging.WARNING)
    jobs = manager(database, process_id)
    zombie = await taken(jobs, database)
    assert zombie.worker_id is not None
    await jobs.unregister_worker(zombie.worker_id)
    job = await jobs.fetch_job([QUEUE], await jobs.register_worker())
    assert job is not None
    await jobs.finish_job(zombie, Status.SUCCEEDED, delete_job=True)
    await jobs.retry_job(zombie)
    assert caplog.text.count("is not this worker's any more") == 2
    await jobs.retry_job(job)
    async with database.transaction() as tx:
        assert await tx.jobs.count_waiting() == {QUEUE: 1}


async def test_nobody_is_pruned_by_a_worker_that_starts(
    database: Database, process_id: UUID
) -> None:
    """One whose event loop is blocked is silent, and lives: the sweep asks for its process."""
    jobs = manager(database, process_id)
    job = await taken(jobs, database)
    assert job.worker_id is not None
    assert await jobs.prune_stalled_workers(0) == []
    assert await jobs.fetch_job([QUEUE], job.worker_id) is None


async def test_an_outage_is_waited_for(
    database: Database, settings: Settings, process_id: UUID
) -> None:
    """A job that has ended is said to have ended, however long that takes."""
    async with a_leaving_database(settings) as leaving:
        clock = RestlessClock()
        jobs = manager(leaving, process_id, clock)
        job = await taken(jobs, database)
        leaving.is_away = True
        finishing = asyncio.create_task(jobs.finish_job(job, Status.SUCCEEDED, delete_job=True))
        await wait_until(lambda: len(clock.slept) > 3)
        leaving.is_away = False
        await finishing
    async with database.transaction() as tx:
        assert await tx.jobs.count_waiting() == {}


async def test_a_job_whose_taking_was_not_heard_of_is_given_back(
    database: Database, settings: Settings, process_id: UUID
) -> None:
    """The answer was lost: nobody runs it here. What is run here is left alone."""
    async with a_leaving_database(settings) as leaving:
        jobs = manager(leaving, process_id, RestlessClock())
        mine = await taken(jobs, database)
        assert mine.worker_id is not None
        await wake_up(database)

        async def lose_the_answer() -> None:
            raise DatabaseUnavailableError("The database does not answer.")

        leaving.after_next.append(lose_the_answer)
        again = await jobs.fetch_job([QUEUE], mine.worker_id)
        assert again is not None
        assert (again.id != mine.id, again.attempts) == (True, 1)
        assert await jobs.fetch_job([QUEUE], mine.worker_id) is None
        await jobs.finish_job(mine, Status.SUCCEEDED, delete_job=True)


async def test_an_outage_stops_nothing(
    database: Database, settings: Settings, process_id: UUID
) -> None:
    """Neither the heart of a worker, nor its look for jobs to abort, nor what it listens to."""
    async with a_leaving_database(settings) as leaving:
        clock = RestlessClock()
        jobs = manager(leaving, process_id, clock)
        job = await taken(jobs, database)
        async with database.transaction() as tx:
            abort = text("SELECT procrastinate_cancel_job_v1(:id, true, false)")
            await tx.jobs._session.execute(abort, {"id": job.id})
        assert await jobs.list_jobs_to_abort_async() == [job.id]
        leaving.is_away = True
        assert await jobs.list_jobs_to_abort_async() == []
        assert job.worker_id is not None
        await jobs.update_heartbeat(job.worker_id)


async def test_a_connection_that_is_lost_is_made_again(
    database: Database, process_id: UUID
) -> None:
    """Again and again, with a pause; jobs are looked for besides."""
    clock = RestlessClock()
    jobs = FencedJobs(_Deaf(), database, QUEUE, lambda: process_id, clock)

    async def hear(*, channel: str, notification: Notification) -> None:
        raise AssertionError((channel, notification))

    listening = asyncio.create_task(jobs.listen_for_jobs(on_notification=hear, queues=[QUEUE]))
    await wait_until(lambda: len(clock.slept) > 3)
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening


async def test_who_listens_on_a_lost_connection_can_be_stopped(
    database: Database, process_id: UUID
) -> None:
    """Giving the connection back fails then, and that is what is raised."""
    connector = _Deaf(may_end=asyncio.Event())
    jobs = FencedJobs(connector, database, QUEUE, lambda: process_id, RestlessClock())

    async def hear(*, channel: str, notification: Notification) -> None:
        raise AssertionError((channel, notification))

    listening = asyncio.create_task(jobs.listen_for_jobs(on_notification=hear, queues=[QUEUE]))
    await asyncio.sleep(0)
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening


class _Deaf(InMemoryConnector):
    """Cannot listen; says so at once, or when it is cancelled."""

    def __init__(self, may_end: asyncio.Event | None = None) -> None:
        super().__init__()
        self._may_end = may_end

    @override
    async def listen_notify(self, on_notification: object, channels: object) -> None:
        try:
            if self._may_end is not None:
                await self._may_end.wait()
        finally:
            raise ConnectorException


async def test_who_is_in_a_hurry_does_not_wait(
    database: Database, settings: Settings, process_id: UUID
) -> None:
    """The process ends, and the others find out."""
    async with a_leaving_database(settings) as leaving:
        jobs = manager(leaving, process_id)
        job = await taken(jobs, database)
        jobs.hurry()
        leaving.is_away = True
        with pytest.raises(DatabaseUnavailableError):
            await jobs.finish_job(job, Status.SUCCEEDED, delete_job=True)
