"""The engine: it takes jobs, gives them back, and is started again whatever happens to it."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.database import Database
from app.errors import DatabaseUnavailableError
from app.settings import Settings
from tests.jobs.conftest import QUEUE, Engines, wake_up
from tests.support.outage import a_leaving_database
from tests.support.wait import wait_until, wait_until_so


class Work:
    """Counts the jobs that run; each ends when it may."""

    def __init__(self) -> None:
        self.begun = 0
        self.at_once = 0
        self.cancelled = 0
        self.may_end = asyncio.Event()
        self.failure: Exception | None = None

    async def __call__(self) -> None:
        """Run one job."""
        self.begun += 1
        self.at_once += 1
        try:
            if self.failure is not None:
                raise self.failure
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.at_once -= 1


async def ask(database: Database, query: str, **values: Any) -> Sequence[Any]:
    """Read by hand."""
    async with database.transaction() as tx:
        return (await tx.jobs._session.execute(text(query), values)).all()


async def until_jobs(database: Database, *statuses: str) -> None:
    """Wait until the jobs that there are stand so."""

    async def stand_so() -> bool:
        rows = await ask(database, "SELECT status::text FROM procrastinate_jobs ORDER BY 1")
        return [row[0] for row in rows] == sorted(statuses)

    await wait_until_so(stand_so)


async def until_listening(database: Database, count: int = 1) -> None:
    """Wait until a worker has entered."""

    async def have_entered() -> bool:
        return len(await ask(database, "SELECT id FROM job_workers")) == count

    await wait_until_so(have_entered)


async def test_a_job_is_taken_and_goes(engines: Engines, database: Database) -> None:
    """Each once, one after the other."""
    work = Work()
    async with engines(work):
        await wake_up(database)
        await wait_until(lambda: work.begun == 1)
        await wake_up(database)
        await until_jobs(database, "doing", "todo")
        work.may_end.set()
        await wait_until(lambda: work.begun == 2)
        await until_jobs(database)


async def test_as_many_run_at_once_as_the_queue_allows(
    engines: Engines, database: Database
) -> None:
    """Of three, two; the third waits for its place."""
    work = Work()
    for task in ("post", "post", "post"):
        await ask(
            database,
            "SELECT procrastinate_defer_jobs_v1(ARRAY[ROW("
            f"'{QUEUE}', '{task}', 0, NULL, NULL, '{{}}', NULL)]::procrastinate_job_to_defer_v1[])",
        )
    async with engines(work, concurrency=2):
        await wait_until(lambda: work.at_once == 2)
        await until_jobs(database, "doing", "doing", "todo")
        work.may_end.set()
        await until_jobs(database)
    assert work.begun == 3


async def test_what_runs_at_the_end_is_given_back(engines: Engines, database: Database) -> None:
    """It waits again, and the worker is gone."""
    work = Work()
    async with engines(work, grace_s=0.1):
        await wake_up(database)
        await wait_until(lambda: work.begun == 1)
    assert work.cancelled == 1
    await until_jobs(database, "todo")
    assert await ask(database, "SELECT id FROM job_workers") == []
    assert await ask(database, "SELECT id FROM procrastinate_workers") == []


async def test_a_failed_job_is_not_run_again(
    engines: Engines, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """It goes, and its trace stands in the log."""
    caplog.set_level(logging.ERROR)
    work = Work()
    work.failure = ValueError("no ink")
    async with engines(work):
        await wake_up(database)
        await until_jobs(database)
    assert work.begun == 1
    assert "no ink" in caplog.text


async def test_a_job_that_met_an_outage_is_run_again(
    engines: Engines, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """It is no failure of the job, and leaves no trace."""
    caplog.set_level(logging.INFO)
    work = Work()
    work.failure = DatabaseUnavailableError("The database does not answer.")
    async with engines(work):
        await wake_up(database)
        await wait_until(lambda: work.begun == 1)
        work.failure = None
        work.may_end.set()
        await wait_until(lambda: work.begun == 2)
        await until_jobs(database)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_an_abort_that_was_asked_for_ends_the_job(
    engines: Engines, database: Database
) -> None:
    """The job is cancelled, and not run again."""
    work = Work()
    async with engines(work):
        await wake_up(database)
        await wait_until(lambda: work.begun == 1)
        await ask(
            database, "SELECT procrastinate_cancel_job_v1(id, true, false) FROM procrastinate_jobs"
        )
        await until_jobs(database)
    assert (work.begun, work.cancelled) == (1, 1)


async def test_a_worker_that_nobody_knows_any_more_is_followed_by_another(
    engines: Engines, database: Database
) -> None:
    """It was dropped, as one that was frozen: what it would take next would not be its own."""
    work = Work()
    async with engines(work):
        await until_listening(database)
        await ask(database, "DELETE FROM job_workers RETURNING id")
        await wake_up(database)
        await wait_until(lambda: work.begun == 1)
        await until_listening(database)


async def test_a_worker_of_a_process_that_was_given_up_enters_again(
    engines: Engines, database: Database, process_id: UUID
) -> None:
    """It asks under which id it lives now; until there is one, it takes nothing."""
    work = Work()
    async with engines(work):
        await until_listening(database)
        await ask(database, "UPDATE processes SET ended_at = now() RETURNING id")
        await wake_up(database)
        await until_jobs(database, "todo")
        assert work.begun == 0
        await ask(database, "UPDATE processes SET ended_at = NULL RETURNING id")
        await wait_until(lambda: work.begun == 1)
    assert await ask(database, "SELECT id FROM processes") == [(process_id,)]


async def test_a_connection_that_breaks_is_made_again(engines: Engines, database: Database) -> None:
    """As in a restart of the database: jobs are taken afterwards."""
    work = Work()
    work.may_end.set()
    async with engines(work):
        await until_listening(database)
        await ask(
            database,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = :name AND datname = current_database()",
            name=f"dspatch jobs of {QUEUE}",
        )
        for count in (1, 2):
            await wake_up(database)
            await wait_until(lambda: work.begun >= count, 30)  # noqa: B023 - awaited in the loop


async def test_an_engine_may_be_stopped_before_it_is_closed(
    engines: Engines, database: Database
) -> None:
    """It takes nothing in between."""
    work = Work()
    async with engines(work) as engine:
        await until_listening(database)
        engine.stop()
        engine.stop()
        await until_listening(database, 0)
        await wake_up(database)
        await until_jobs(database, "todo")


async def test_a_database_that_is_away_does_not_hold_the_end(
    settings: Settings, database: Database, process_id: UUID
) -> None:
    """What could not be given back is found by the others."""
    work = Work()
    async with a_leaving_database(settings) as leaving:
        engine = Engines(settings, leaving, process_id).make(work, grace_s=0.1)
        engine.start()
        await wake_up(database)
        await wait_until(lambda: work.begun == 1)
        leaving.is_away = True
        await engine.close(0.3)
        assert work.cancelled == 1
    await until_jobs(database, "doing")


async def test_an_engine_that_has_taken_nothing_has_nothing_to_close(engines: Engines) -> None:
    """Neither in a process that could not be opened to its end, nor in one that ends at once."""
    await engines.make(Work()).close(1)
    started = engines.make(Work())
    started.start()
    await started.close(1)
