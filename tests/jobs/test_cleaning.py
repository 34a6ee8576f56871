"""The schedule: one job for all processes, and the cleanup that it does."""

import logging
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

import pytest
from sqlalchemy import text

from app.actions.resource_cleanup import ResourceCleanup
from app.actions.resource_cleanup.category import Category, CategoryName, Found, Tools
from app.database import Database
from app.jobs.cleaning import CRON, ScheduledCleanup
from app.jobs.engine import Engine, Queue
from app.policies.clock import SystemClock
from app.settings import Settings
from app.stores.removals import Removed
from tests.actions.resource_cleanup.conftest import some_tools
from tests.jobs.conftest import QUEUE, TASK, wake_up
from tests.support.wait import wait_until


async def test_a_job_is_due_once_for_all_processes(
    settings: Settings, database: Database, process_id: UUID
) -> None:
    """Who comes later finds that it was made, and still takes what others make."""
    due, ran = datetime.now(UTC) - timedelta(minutes=1), list[str]()

    def an_engine(name: str) -> Engine:
        async def work() -> None:
            ran.append(name)

        queue = Queue(QUEUE, TASK, work, 1, cron=f"{due.minute} {due.hour} * * *")
        clock, random = SystemClock(), Random(0)  # noqa: S311 - jitter
        return Engine(queue, settings.database, database, lambda: process_id, clock, random)

    first, second = an_engine("first"), an_engine("second")
    first.start()
    await wait_until(lambda: ran == ["first"], 30)
    await first.close(5)
    second.start()
    await wake_up(database)
    await wait_until(lambda: ran == ["first", "second"], 30)
    await second.close(5)
    async with database.transaction() as tx:
        jobs = await tx.jobs._session.scalars(text("SELECT count(*) FROM procrastinate_jobs"))
        assert jobs.one() == 0


async def test_a_job_mends_and_says_what(
    database: Database, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Categories in which there was nothing to do are passed over."""

    async def look(_tools: Tools) -> Found:
        return Found(3)

    async def mend(_tools: Tools) -> AsyncGenerator[Removed]:
        yield Removed(2)
        raise ValueError

    async def nothing(_tools: Tools) -> AsyncGenerator[Removed]:
        yield Removed(0)

    categories = [
        Category(CategoryName.FINISHED_JOBS, look, mend),
        Category(CategoryName.DEAD_PROCESSES, look, nothing),
    ]
    tools = some_tools(settings, database)
    cleanup = ScheduledCleanup(ResourceCleanup(tools, categories))
    with caplog.at_level(logging.INFO, "app.jobs.cleaning"):
        await cleanup()
    said = [one.getMessage() for one in caplog.records if one.name == "app.jobs.cleaning"]
    assert said == ["cleaned up 2 of finished_jobs; it failed (ValueError)"]
    assert (cleanup.queue.name, cleanup.queue.cron) == ("cleanup", CRON)
