"""The sweep of jobs."""

import logging

import pytest
from sqlalchemy import insert

from app.database import Database
from app.jobs.sweep import JobSweep
from app.models import PendingExecution
from app.models.pending_executions import QUEUE
from tests.stores.rows import IDS
from tests.stores.test_jobs import QUEUE as LETTERS
from tests.stores.test_jobs import a_run


async def test_jobs_of_the_dead_are_taken_back(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, and it stands in the log."""
    caplog.set_level(logging.WARNING)
    await a_run(database, is_dead=True)
    await a_run(database, is_dead=False)
    sweep = JobSweep(database)
    await sweep()
    await sweep()
    async with database.transaction() as tx:
        assert await tx.jobs.count_waiting() == {LETTERS: 1}
    assert caplog.text.count("took back jobs of dead workers") == 1


async def test_executions_that_nobody_knows_of_are_found(database: Database) -> None:
    """Their wake-up may have been taken by somebody who died of it, or failed."""
    async with database.transaction() as tx:
        place = insert(PendingExecution).values(id=IDS.new(), is_suspect=False)
        await tx.jobs._session.execute(place)
    await JobSweep(database)()
    async with database.transaction() as tx:
        assert await tx.jobs.count_waiting() == {QUEUE: 1}
