"""A cleanup on the test's database, on a clock that takes no time."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from random import Random

import pytest
from sqlalchemy import text

from app.actions.resource_cleanup import CleanupInput, CleanupReport, ResourceCleanup
from app.actions.resource_cleanup.category import CategoryName, Tools
from app.database import Database
from app.models.weeks import Week
from app.processes.channel import ControlChannel
from app.settings import Settings
from app.telemetry.metrics import Metrics
from tests.support.clock import ManualClock
from tests.support.factories import new_ids

CleanUp = Callable[..., Awaitable[CleanupReport]]


@pytest.fixture
def tools(settings: Settings, database: Database) -> Tools:
    """What categories work with."""
    clock = ManualClock()
    channel = ControlChannel(clock, Random(0))  # noqa: S311 - jitter
    return Tools.on(database, channel, Metrics(), new_ids(), clock, settings)


@pytest.fixture
def clean_up(tools: Tools) -> CleanUp:
    """Run the cleanup of some categories, all where none is named; it mends what it finds."""
    return partial(cleaned, tools)


async def cleaned(tools: Tools, *names: CategoryName, dry_run: bool = False) -> CleanupReport:
    """Run the cleanup with these tools."""
    return await ResourceCleanup(tools)(CleanupInput(names or None, dry_run))


@pytest.fixture(autouse=True)
async def _no_old_weeks(database: Database) -> AsyncIterator[None]:
    """Drop the weeks that a test has made, so that the next finds none."""
    yield
    async with database.transaction() as tx:
        for partition in await tx.expired_weeks.list_partitions():
            week = Week.named(partition.name)
            assert week is not None
            if week.end < datetime.now(UTC):
                session = tx.expired_weeks._session
                await session.execute(text(f"DROP TABLE {partition.name}"))
