"""The action: its report, its dry run, its order and its patience, whatever the categories."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from sqlalchemy import text

from app.actions.resource_cleanup import (
    CATEGORIES,
    LONGEST_S,
    PAUSE_S,
    CategoryReport,
    CleanupInput,
    ResourceCleanup,
)
from app.actions.resource_cleanup.category import Category, CategoryName, Found, Tools
from app.database import Database
from app.errors import DatabaseUnavailableError
from app.settings import RetentionSettings
from app.stores.removals import Removed
from tests.actions.resource_cleanup import mess
from tests.actions.resource_cleanup.conftest import CleanUp, keeping
from tests.support.clock import ManualClock

KEYS = CategoryName.EXPIRED_IDEMPOTENCY_KEYS
JOBS = CategoryName.FINISHED_JOBS

OF_RECORDS = [
    category.name
    for category in CATEGORIES
    if category.name
    not in {
        CategoryName.UNKNOWN_PROGRAMS,
        CategoryName.UNPREPARED_PROGRAMS,
        CategoryName.ORPHANED_CHILDREN,
        CategoryName.TEMPORARY_FILES,
        CategoryName.HOUSEKEEPING,
    }
]
"""Those that look at the database alone, and not at what PostgreSQL counts now and then."""


@pytest.fixture
def tools(tools: Tools) -> Tools:
    """Tools for which payloads go before their records."""
    return keeping(tools, RetentionSettings(payload_days=20))


async def a_mess(database: Database) -> None:
    """Make something for every category."""
    async with database.transaction() as tx:
        for make in mess.EVERY:
            await make(tx)


async def everything(database: Database) -> list[str]:
    """Read every row that a category may touch, as text."""
    names = (
        "executions batches batch_lanes batch_uploads webhook_deliveries programs idempotency_keys"
        " processes procrastinate_jobs"
    )
    queries = [f"SELECT {name}::text FROM {name}" for name in names.split()]  # noqa: S608 - ours
    async with database.transaction() as tx:
        rows = await tx.processes._session.scalars(text(" UNION ALL ".join(queries)))
        return sorted(rows)


async def test_a_dry_run_changes_nothing_and_says_what_a_real_one_does(
    database: Database, clean_up: CleanUp
) -> None:
    """Category by category: as many go, as many stay, for the same reasons."""
    await a_mess(database)
    before = await everything(database)
    dry = await clean_up(*OF_RECORDS, dry_run=True)
    assert await everything(database) == before
    real = await clean_up(*OF_RECORDS)
    assert [*dry.categories] == [*real.categories] == OF_RECORDS
    for name, report in real.categories.items():
        said = dry.categories[name]
        assert (said.removed, said.bytes_freed) == (0, 0)
        assert report.removed == said.found - said.kept > 0, name
        assert (report.found, report.reasons) == (said.found, said.reasons), name
        assert said.errors == report.errors == []
    assert (dry.dry_run, real.dry_run) == (True, False)
    assert real.summary.removed == sum(one.removed for one in real.categories.values())
    assert real.summary.bytes_freed > 0
    assert (dry.summary.removed, dry.summary.found) == (0, real.summary.found)


async def test_a_second_run_finds_nothing_to_mend(database: Database, clean_up: CleanUp) -> None:
    """What is kept is kept for the same reasons again."""
    await a_mess(database)
    first, second = await clean_up(*OF_RECORDS), await clean_up(*OF_RECORDS)
    for name, report in second.categories.items():
        assert (report.removed, report.reasons) == (0, first.categories[name].reasons), name


async def test_of_two_at_once_each_thing_is_mended_by_one(
    database: Database, clean_up: CleanUp
) -> None:
    """Together they remove what one would have, and the database is as it would be then."""
    await a_mess(database)
    dry = await clean_up(*OF_RECORDS, dry_run=True)
    reports = await asyncio.gather(clean_up(*OF_RECORDS), clean_up(*OF_RECORDS))
    for name, said in dry.categories.items():
        removed = sum(report.categories[name].removed for report in reports)
        assert removed == said.found - said.kept, name
    assert [report.summary.errors for report in reports] == [0, 0]
    after = await everything(database)
    await clean_up(*OF_RECORDS)
    assert await everything(database) == after


async def test_only_what_is_asked_for_is_looked_for(database: Database, clean_up: CleanUp) -> None:
    """In the order of the cleanup, not of the request."""
    await a_mess(database)
    report = await clean_up(JOBS, KEYS)
    assert [*report.categories] == [KEYS, JOBS]


def a_category(
    name: CategoryName, *slices: int, found: Found | None = None, error: Exception | None = None
) -> Category:
    """Make a category that mends so many in each slice, and then raises an error."""

    async def look(_tools: Tools) -> Found:
        return found or Found(sum(slices))

    async def mend(_tools: Tools) -> AsyncGenerator[Removed]:
        for rows in slices:
            yield Removed(rows, 10 * rows)
        if error is not None:
            raise error

    return Category(name, look, mend)


async def reported(tools: Tools, category: Category) -> CategoryReport:
    """Run one category."""
    report = await ResourceCleanup(tools, [category])(CleanupInput(dry_run=False))
    return report.categories[category.name]


async def test_one_that_fails_does_not_stop_the_others(tools: Tools) -> None:
    """It says how far it came, and why it did not come further."""
    away = DatabaseUnavailableError("The database does not answer.", retry_after_s=1)
    failing = a_category(KEYS, 3, found=Found(9, {"young": 2}), error=away)
    report = await ResourceCleanup(tools, [failing, a_category(JOBS, 1, 1)])(
        CleanupInput(dry_run=False)
    )
    failed, other = report.categories[KEYS], report.categories[JOBS]
    assert failed.errors == ["The database does not answer."]
    assert (failed.found, failed.removed, failed.kept) == (9, 3, 6)
    assert failed.reasons == {"young": 2, "failed": 4}
    assert (other.removed, other.bytes_freed, other.errors) == (2, 20, [])
    assert report.summary.errors == 1


async def test_an_error_that_nobody_expects_is_not_shown_to_clients(tools: Tools) -> None:
    """Its words may hold anything; its kind is told, and the log has it."""
    failing = a_category(KEYS, error=ValueError("secret"))
    assert (await reported(tools, failing)).errors == ["it failed (ValueError)"]


async def test_others_have_the_database_between_slices(tools: Tools) -> None:
    """There is a pause after each."""
    assert isinstance(tools.clock, ManualClock)
    await reported(tools, a_category(KEYS, 1, 1, 1))
    assert tools.clock.slept == [PAUSE_S] * 3


async def test_what_a_run_has_no_time_for_is_left_to_the_next(tools: Tools) -> None:
    """A category ends with the slice in which its time is over."""
    most = round(LONGEST_S / PAUSE_S)
    report = await reported(tools, a_category(KEYS, *[1] * (2 * most)))
    assert report.removed in {most + 1, most + 2}  # the clock adds up floats
    assert report.reasons == {"out_of_time": 2 * most - report.removed}


async def test_what_others_did_meanwhile_is_theirs(tools: Tools) -> None:
    """It is not counted as removed by this run; what came meanwhile is."""
    fewer = await reported(tools, a_category(KEYS, 1, found=Found(3)))
    assert (fewer.found, fewer.removed, fewer.reasons) == (3, 1, {"changed_meanwhile": 2})
    more = await reported(tools, a_category(KEYS, 4, found=Found(3, {"young": 1})))
    assert (more.found, more.removed, more.reasons) == (5, 4, {"young": 1})
