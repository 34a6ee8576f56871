import asyncio
import re
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Connection, Select, Update, select, text, update

from app.database import Database
from app.models import Execution
from app.models.ids import Ids
from app.models.weeks import Week
from app.settings import DatabaseSettings
from tests.stores.rows import IDS, an_ending, an_execution
from tests.support.clock import ManualClock

MADE = 5
"""The partitions of the template: this week's and four more."""


@pytest.fixture
async def scratch(
    new_database: Callable[[str], Coroutine[None, None, str]], request: pytest.FixtureRequest
) -> AsyncIterator[Database]:
    """A database of the test's own, at head, with the partitions of the template."""
    url = await new_database(f"partitions_{zlib.crc32(request.node.name.encode())}")
    database = Database.connect(DatabaseSettings(url=SecretStr(url)))
    yield database
    await database.close()


async def ensured(database: Database, weeks_ahead: int) -> list[str]:
    """Make partitions in a transaction of their own; name those that were new."""
    async with database.transaction() as tx:
        return list(await tx.partitions.ensure(weeks_ahead))


async def rows(database: Database, query: str) -> list[Any]:
    """Give the first column of what a query finds."""
    return await database.run_sync(lambda link: list(link.scalars(text(query))))


async def partitions(database: Database) -> list[str]:
    """List the partitions that there are."""
    return await rows(
        database,
        "SELECT inhrelid::regclass::text FROM pg_inherits"
        " WHERE inhparent = 'executions'::regclass ORDER BY 1",
    )


async def this_week(database: Database) -> Week:
    """Find the week by the database's clock."""
    return Week.of((await rows(database, "SELECT now()"))[0])


async def test_partitions_are_made_ahead_and_once(scratch: Database) -> None:
    """What is missing is made and named; asked again, nothing is."""
    weeks = [week.partition for week in (await this_week(scratch)).and_following(9)]
    assert await partitions(scratch) == sorted(weeks[:MADE])
    assert await ensured(scratch, 9) == weeks[MADE:]
    assert await ensured(scratch, 9) == []
    assert await ensured(scratch, 0) == []
    assert await partitions(scratch) == sorted(weeks)


async def test_a_gap_is_filled(scratch: Database) -> None:
    """A week in the middle that has no partition gets one."""
    week = list((await this_week(scratch)).and_following(2))[2]
    await scratch.run_sync(lambda link: link.execute(text(f"DROP TABLE {week.partition}")))
    assert await ensured(scratch, 4) == [week.partition]


async def test_many_who_make_partitions_at_once_make_each_once(scratch: Database) -> None:
    """Of several at once one makes them, and the others find them made."""
    made = await asyncio.gather(*(ensured(scratch, 9) for _ in range(5)))
    assert sorted(len(names) for names in made) == [0, 0, 0, 0, 10 - MADE]
    assert len(await partitions(scratch)) == 10


async def test_a_partition_has_the_indexes_of_the_table_alone(scratch: Database) -> None:
    """A new partition brings no second index beside those that the table asks for."""
    (name,) = await ensured(scratch, MADE)
    counted = "SELECT count(*) FROM pg_index WHERE indrelid = '{}'::regclass"
    expected = await rows(scratch, counted.format("executions"))
    assert await rows(scratch, counted.format(name)) == expected == [4]


async def test_records_are_read_while_partitions_are_made(scratch: Database) -> None:
    """Making a partition does not lock out those who read and write records."""
    async with scratch.transaction() as making:
        await making.partitions.ensure(9)
        async with scratch.transaction() as tx:
            execution_id = await an_execution(tx)
            assert await tx.executions.finish(execution_id, an_ending()) is not None


async def test_a_record_lands_in_the_week_of_its_id(scratch: Database) -> None:
    """The first and the last moment of each week lie in that week's partition."""
    for week in (await this_week(scratch)).and_following(4):
        for moment in (week.monday, week.monday + timedelta(days=7, microseconds=-1)):
            async with scratch.transaction() as tx:
                execution_id = await an_execution(tx, id=Ids(ManualClock(moment)).new())
            query = f"SELECT count(*) FROM {week.partition} WHERE id = '{execution_id}'"  # noqa: S608
            assert await rows(scratch, query) == [1]


async def test_a_record_of_a_week_without_partition_is_refused(scratch: Database) -> None:
    """There is no default partition that would swallow what is out of range."""
    long_ago = Ids(ManualClock(datetime(2001, 1, 1, tzinfo=UTC))).new()
    with pytest.raises(Exception, match="no partition of relation"):
        async with scratch.transaction() as tx:
            await an_execution(tx, id=long_ago)


@pytest.mark.parametrize(
    "statement",
    [
        select(Execution).where(Execution.id == IDS.new()),
        update(Execution).where(Execution.id == IDS.new()).values(adapter="a"),
    ],
    ids=["get", "finish"],
)
async def test_a_statement_about_one_record_looks_into_one_partition(
    scratch: Database, statement: Select[Any] | Update
) -> None:
    """The plan for one id names the partition of its week and no other."""

    def plan(link: Connection) -> str:
        query = statement.compile(link, compile_kwargs={"literal_binds": True})
        return "\n".join(link.scalars(text(f"EXPLAIN {query}")))

    await ensured(scratch, 9)
    named = set(re.findall(r"executions_\d{4}w\d\d", await scratch.run_sync(plan)))
    assert named == {(await this_week(scratch)).partition}


async def test_partitions_for_ids_of_any_time_are_made_once(scratch: Database) -> None:
    """Two processes that miss the same weeks at once make each once."""
    moments = [datetime(2025, 12, 1, tzinfo=UTC), datetime(2027, 12, 1, tzinfo=UTC)]
    ids = [Ids(ManualClock(moment)).new() for moment in moments for _ in range(3)]
    made = await asyncio.gather(scratch.make_partitions(ids), scratch.make_partitions(ids))
    assert sorted(made, key=len) == [[], ["executions_2025w49", "executions_2027w48"]]
