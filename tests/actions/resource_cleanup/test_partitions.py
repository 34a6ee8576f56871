"""Weeks of records: made ahead, and dropped whole; whatever somebody died over is gone on with."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.actions.resource_cleanup.category import CategoryName, Tools
from app.actions.resource_cleanup.partitions import AGAIN_AFTER_S, TRIES, _step, _take_out
from app.database import Database
from app.models.weeks import Week
from app.stores.executions import ExecutionFilter
from app.stores.expired_weeks import MARK, LockedError, Partition
from app.stores.pages import Page
from tests.actions.resource_cleanup import mess
from tests.actions.resource_cleanup.conftest import CleanUp
from tests.stores.rows import a_program, an_execution
from tests.support.clock import ManualClock

PARTITIONS = CategoryName.PARTITIONS


@pytest.fixture
async def week(database: Database) -> str:
    """The name of a week whose one record has expired."""
    async with database.transaction() as tx:
        await mess.a_record(tx, 100)
    (old,) = await _old_weeks(database)
    return old


async def _old_weeks(database: Database) -> Sequence[str]:
    """Name what there is of the weeks before this one, whatever its state."""
    async with database.transaction() as tx:
        (now,) = await tx.processes._session.scalars(text("SELECT now()"))
        partitions = await tx.expired_weeks.list_partitions()
    names = [partition.name for partition in partitions]
    return [name for name in names if name < Week.of(now).partition]


async def run(database: Database, statement: str) -> None:
    """Run a statement by itself."""
    async with database.autocommit() as tx:
        await tx.processes._session.execute(text(statement))


@pytest.mark.usefixtures("week")
async def test_a_week_whose_records_have_all_expired_goes_whole(
    database: Database, clean_up: CleanUp
) -> None:
    """Its table is dropped, and its size told."""
    report = (await clean_up(PARTITIONS)).categories[PARTITIONS]
    assert (report.removed, report.reasons) == (1, {})
    assert report.bytes_freed > 8_192
    assert await _old_weeks(database) == []


async def test_a_week_with_one_record_to_keep_stays(database: Database, clean_up: CleanUp) -> None:
    """Live, young, an item of a live batch, or of a batch that is kept: each alone keeps it."""
    async with database.transaction() as tx:
        await mess.a_record(tx, 100, None)
        await mess.a_record(tx, 90, finished=3)
        await mess.a_live_batch(tx, 80, invalid=(0, 1, 2))
        keeping = (await a_program(tx, retention={"failed_days": 0})).id
        await mess.an_ended_batch(tx, 70, program_id=keeping)
    report = (await clean_up(PARTITIONS)).categories[PARTITIONS]
    assert (report.removed, report.reasons) == (0, {"has_records_to_keep": 4})
    assert len(await _old_weeks(database)) == 4


async def test_a_week_that_is_missing_is_made(database: Database, clean_up: CleanUp) -> None:
    """Of those in which records will come."""
    *_, next_week = Week.of(datetime.now(UTC)).and_following(1)
    await run(database, f"DROP TABLE {next_week.partition}")
    assert (await clean_up(PARTITIONS, dry_run=True)).summary.found == 1
    assert (await clean_up(PARTITIONS)).summary.removed == 1
    assert (await clean_up(PARTITIONS)).summary.found == 0


async def found(database: Database, name: str) -> Partition:
    """Find a partition."""
    async with database.transaction() as tx:
        return {one.name: one for one in await tx.expired_weeks.list_partitions()}[name]


async def begin_to_detach(database: Database, partition: Partition) -> None:
    """Give up amid detaching, because somebody reads."""
    async with database.transaction() as reader:
        await reader.executions.list_ended([UUID(int=0)])
        async with database.autocommit() as tx, tx.expired_weeks.alone():
            with pytest.raises(LockedError):
                await tx.expired_weeks.detach(partition)


@pytest.mark.parametrize("died_after", ["marking", "beginning", "detaching"])
async def test_what_somebody_died_over_is_gone_on_with(
    database: Database, clean_up: CleanUp, week: str, died_after: str
) -> None:
    """From wherever he had come; a dry run says that it will be."""
    partition = await found(database, week)
    if died_after == "marking":
        await run(database, f"COMMENT ON TABLE {week} IS '{MARK}'")
    elif died_after == "beginning":
        await begin_to_detach(database, partition)
        assert (await found(database, week)).is_pending
    else:
        async with database.autocommit() as tx:
            await tx.expired_weeks.detach(partition)
    assert (await clean_up(PARTITIONS, dry_run=True)).summary.found == 1
    assert (await clean_up(PARTITIONS)).summary.removed == 1
    assert await _old_weeks(database) == []


@pytest.mark.usefixtures("week")
async def test_who_reads_is_neither_disturbed_nor_waited_for_long(
    database: Database, clean_up: CleanUp, tools: Tools
) -> None:
    """The run tries some times and leaves it to the next; meanwhile others read and write."""
    assert isinstance(tools.clock, ManualClock)
    async with database.transaction() as reader:
        await reader.executions.list_ended([UUID(int=0)])
        report = (await clean_up(PARTITIONS)).categories[PARTITIONS]
        assert (report.removed, report.reasons) == (0, {"changed_meanwhile": 1})
        assert tools.clock.slept.count(AGAIN_AFTER_S) == TRIES
        async with database.transaction() as tx:
            await an_execution(tx)
            assert len((await tx.executions.list_page(Page(5), ExecutionFilter())).items) >= 1
    assert (await clean_up(PARTITIONS)).summary.removed == 1
    assert await _old_weeks(database) == []


async def test_one_cleaner_drops_at_a_time(
    database: Database, tools: Tools, clean_up: CleanUp, week: str
) -> None:
    """Another leaves it to him; of one that is gone already there is nothing to do."""
    partition = await found(database, week)
    async with database.autocommit() as tx, tx.expired_weeks.alone() as is_alone:
        assert is_alone
        report = (await clean_up(PARTITIONS)).categories[PARTITIONS]
        assert (report.removed, report.reasons) == (0, {"changed_meanwhile": 1})
        assert (await _step(tx, partition)).rows == 1
    assert (await _take_out(tools, week)).rows == 0


async def test_what_an_operator_takes_out_is_his(
    database: Database, clean_up: CleanUp, week: str
) -> None:
    """He may have died over it, which is in the way of others; but the table stays."""
    async with database.transaction() as reader:
        await reader.executions.list_ended([UUID(int=0)])
        async with database.autocommit() as tx, tx.expired_weeks.alone():
            with pytest.raises(DBAPIError, match="lock timeout"):
                await tx.processes._session.execute(
                    text(f"ALTER TABLE executions DETACH PARTITION {week} CONCURRENTLY")
                )
    assert (await clean_up(PARTITIONS)).summary.removed == 1
    assert (await clean_up(PARTITIONS)).summary.found == 0
    await run(database, f"DROP TABLE {week}")


async def test_a_week_that_is_not_to_be_dropped_any_more_loses_its_mark(
    database: Database, clean_up: CleanUp, week: str
) -> None:
    """Else it would be dropped when an operator takes it out one day."""
    await run(database, f"COMMENT ON TABLE {week} IS '{MARK}'")
    async with database.transaction() as tx:
        await mess.a_record(tx, 100, None)
    assert (await clean_up(PARTITIONS)).summary.removed == 0
    assert not (await found(database, week)).is_marked


async def test_a_partition_by_another_name_is_left_alone(
    database: Database, clean_up: CleanUp, week: str
) -> None:
    """What an operator has added may hold anything."""
    await run(database, f"ALTER TABLE {week} RENAME TO executions_ours")
    try:
        assert (await clean_up(PARTITIONS)).summary.found == 0
    finally:
        await run(database, "DROP TABLE executions_ours")


async def test_another_error_than_a_lock_is_told(database: Database) -> None:
    """The category fails and says so, instead of trying again."""
    async with database.autocommit() as tx:
        with pytest.raises(DBAPIError, match="does not exist"):
            await tx.expired_weeks.drop(
                Partition("nowhere", is_attached=False, is_pending=False, is_marked=True)
            )
