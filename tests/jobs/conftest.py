"""What the tests of the room share: this process among the others, and engines for it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any
from uuid import UUID

import pytest

from app.database import Database
from app.jobs.engine import Engine, Queue
from app.policies.clock import SystemClock
from app.settings import Settings
from tests.stores.rows import a_process

QUEUE, TASK = "letters", "post"

Work = Callable[[], Awaitable[None]]


@pytest.fixture
async def process_id(database: Database) -> UUID:
    """A process that lives."""
    async with database.transaction() as tx:
        return await a_process(tx)


class Engines:
    """Makes engines of this process on the test's database."""

    def __init__(self, settings: Settings, database: Database, process_id: UUID) -> None:
        self._settings = settings
        self._database = database
        self._process_id = process_id

    def make(self, work: Work, concurrency: int = 1, grace_s: float = 5.0) -> Engine:
        """Make an engine that is not started."""
        return Engine(
            Queue(QUEUE, TASK, work, concurrency, grace_s),
            self._settings.database,
            self._database,
            lambda: self._process_id,
            SystemClock(),
            Random(0),  # noqa: S311 - jitter
        )

    @asynccontextmanager
    async def __call__(self, work: Work, **options: Any) -> AsyncIterator[Engine]:
        """Run an engine until the block ends."""
        engine = self.make(work, **options)
        engine.start()
        yield engine
        await engine.close(5)


@pytest.fixture
def engines(settings: Settings, database: Database, process_id: UUID) -> Engines:
    """Give the way to engines."""
    return Engines(settings, database, process_id)


async def wake_up(database: Database) -> None:
    """Have a job wait."""
    async with database.transaction() as tx:
        await tx.jobs.wake_up(QUEUE, TASK)
