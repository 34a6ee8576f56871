"""A cleanup on the test's database, on a clock that takes no time."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from random import Random

import pytest
from sqlalchemy import text

from app.actions.batch_processing.closing import BatchClosing
from app.actions.batch_processing.telling import BatchTelling
from app.actions.resource_cleanup import CleanupInput, CleanupReport, ResourceCleanup
from app.actions.resource_cleanup.category import CategoryName, Tools
from app.adapters.mock import MockAdapter
from app.adapters.registry import AdapterRegistry
from app.adapters.setup import AdapterSetup
from app.database import Database
from app.models.weeks import Week
from app.processes.channel import ControlChannel
from app.settings import RetentionSettings, Settings
from app.telemetry.metrics import Metrics
from tests.support.clock import ManualClock
from tests.support.factories import new_ids

CleanUp = Callable[..., Awaitable[CleanupReport]]


@pytest.fixture
def tools(settings: Settings, database: Database) -> Tools:
    """What categories work with."""
    return some_tools(settings, database)


def some_tools(settings: Settings, database: Database) -> Tools:
    """Make what categories work with."""
    clock, ids = ManualClock(), new_ids()
    channel = ControlChannel(clock, Random(0))  # noqa: S311 - jitter
    close = BatchClosing(database, channel, Metrics(), BatchTelling(database, ids))
    adapters = AdapterRegistry([MockAdapter(AdapterSetup("mock"))])
    return Tools(database, channel, close, adapters, ids, clock, settings)


def keeping(tools: Tools, days: RetentionSettings) -> Tools:
    """Give tools that keep records for so many days."""
    settings = tools.settings.model_copy(update={"retention": days})
    return replace(tools, settings=settings)


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
