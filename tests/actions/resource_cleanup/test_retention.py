"""What is kept, and for how long: executions, and batches with their items."""

from collections.abc import Mapping
from uuid import UUID

import pytest
from sqlalchemy import text

from app.actions.resource_cleanup.category import CategoryName, Tools
from app.database import Database
from app.models.ids import item_range
from app.models.states import ExecutionStatus
from app.settings import RetentionSettings
from app.stores.execution_slices import SLICE
from tests.actions.resource_cleanup import mess
from tests.actions.resource_cleanup.conftest import CleanUp, cleaned, keeping
from tests.stores.rows import a_program

BATCHES = CategoryName.EXPIRED_BATCHES
EXECUTIONS = CategoryName.EXPIRED_EXECUTIONS
OF_RETENTION = (CategoryName.PARTITIONS, BATCHES, EXECUTIONS)

FOR_EVER = RetentionSettings(completed_days=0, failed_days=0, cancelled_days=0)


async def those_there(database: Database, added: Mapping[str, UUID]) -> set[str]:
    """Name those of some executions and batches that are still there."""
    query = text("SELECT id FROM executions UNION ALL SELECT id FROM batches")
    async with database.transaction() as tx:
        there = set(await tx.processes._session.scalars(query))
    return {name for name, one in added.items() if one in there}


async def test_what_has_expired_goes_and_nothing_else(
    database: Database, clean_up: CleanUp
) -> None:
    """By its status and its program; live ones and items of live batches stay, however old."""
    async with database.transaction() as tx:
        added = await mess.records(tx)
    report = await clean_up(EXECUTIONS, BATCHES)
    assert report.categories[EXECUTIONS].removed == 3
    assert report.categories[BATCHES].removed == 1
    gone = {"expired batch", "expired", "expired failure", "expired by its program"}
    assert await those_there(database, added) == added.keys() - gone
    assert report.summary.bytes_freed > 0


async def test_zero_days_keep_for_ever(database: Database, tools: Tools) -> None:
    """Whatever programs say is theirs; where nobody says a number nothing is looked at."""
    async with database.transaction() as tx:
        await mess.a_record(tx, 1_000)
    kept = await cleaned(keeping(tools, FOR_EVER), *OF_RETENTION)
    assert kept.summary.found == 0
    async with database.transaction() as tx:
        own = (await a_program(tx, retention={"completed_days": 7})).id
        added = {"own": await mess.a_record(tx, 60, program_id=own)}
    await cleaned(keeping(tools, FOR_EVER), *OF_RETENTION)
    assert await those_there(database, added) == set()


@pytest.mark.parametrize(
    ("failed_days", "completed_days", "is_kept"),
    [(30, 30, False), (70, 30, True), (0, 30, True), (30, 70, True), (30, 0, True)],
)
async def test_a_batch_goes_whole_and_last(
    database: Database, tools: Tools, failed_days: int, completed_days: int, *, is_kept: bool
) -> None:
    """When it may go as what it is, and as everything that it holds; items do not go before."""
    async with database.transaction() as tx:
        batch_id = await mess.an_ended_batch(tx, 60)
    days = RetentionSettings(failed_days=failed_days, completed_days=completed_days)
    await cleaned(keeping(tools, days), EXECUTIONS, BATCHES)
    low, high = item_range(batch_id)
    query = text("SELECT count(*) FROM executions WHERE id BETWEEN :low AND :high")
    async with database.transaction() as tx:
        items = await tx.processes._session.scalars(query, {"low": low, "high": high})
        assert items.one() == (3 if is_kept else 0)
    assert bool(await those_there(database, {"batch": batch_id})) is is_kept


async def test_many_go_in_slices(database: Database, clean_up: CleanUp) -> None:
    """Of executions and of items: each statement takes as many as are seldom felt."""
    async with database.transaction() as tx:
        pattern = await mess.a_record(tx, 60, ExecutionStatus.CANCELLED)
        await mess.a_record(tx, 60, None)  # so that the week does not go whole
        await mess.copies(tx, pattern, SLICE)
        batch_id = await mess.an_ended_batch(tx, 60)
        await mess.copies(tx, item_range(batch_id)[0], SLICE)
    report = await clean_up(EXECUTIONS, BATCHES)
    assert report.categories[EXECUTIONS].removed == SLICE + 1
    assert report.categories[BATCHES].removed == 1
    assert (await clean_up(EXECUTIONS, BATCHES, dry_run=True)).summary.found == 0


async def test_a_batch_that_somebody_died_over_is_gone_on_with(
    database: Database, clean_up: CleanUp
) -> None:
    """Its items are gone, or some of them; the batch is the last to go."""
    async with database.transaction() as tx:
        batch_id = await mess.an_ended_batch(tx, 60)
        assert (await tx.expired_batches.delete(batch_id)).rows == 0
        items = await tx.expired_batches.list_items(batch_id, None)
        assert (await tx.expired_batches.delete_items(items)).rows == 3
    assert (await clean_up(BATCHES)).summary.removed == 1
    assert await those_there(database, {"batch": batch_id}) == set()


async def test_statistics_stay_true(database: Database, clean_up: CleanUp) -> None:
    """The count and the time of a program are those of its whole life; the rest is what is kept."""
    async with database.transaction() as tx:
        program = await a_program(tx)
        await mess.a_record(tx, 60, program_id=program.id)
        await mess.a_record(tx, 5, program_id=program.id)
        await tx.programs.count_executions([program.id] * 2)
    async with database.transaction() as tx:
        before = await tx.programs.get(program.id)
        life = (before.execution_count, before.last_executed_at)
    await clean_up(EXECUTIONS, CategoryName.PARTITIONS)
    async with database.transaction() as tx:
        after = await tx.programs.get(program.id)
        figures = await tx.statistics.of_program(program.id)
    assert (after.execution_count, after.last_executed_at) == life
    assert sum(figures.by_status.values()) == 1
