import asyncio
import re
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from pydantic import SecretStr

from app.database import Database
from app.models import Program
from app.models.ids import Ids
from app.models.weeks import Week
from app.settings import DatabaseSettings
from app.stores.recorder.statements import (
    _FIND,
    _FINISH,
    BEGINNING,
    ENDING,
    PENDING,
    RUNNING,
    UNLESS_BEGUN,
    encoded,
    insert_statement,
)
from tests.stores.recorder.conftest import Recording, a_row
from tests.stores.rows import a_program, an_ending
from tests.support.clock import ManualClock


async def fold(database: Database) -> None:
    """Fold what is counted."""
    async with database.transaction() as tx:
        await tx.programs.fold_counts()


async def reloaded(database: Database, program: Program) -> Program:
    """Read a program again."""
    async with database.transaction() as tx:
        return await tx.programs.get(program.id)


@pytest.fixture
async def programs(database: Database) -> list[Program]:
    """Three programs."""
    async with database.transaction() as tx:
        return [await a_program(tx) for _ in range(3)]


async def test_counters_are_exact_at_any_moment(
    recording: Recording, programs: list[Program]
) -> None:
    """Executions end on two recorders while others fold and read: no count is lost or early."""
    database = recording.database
    other = Recording(database)
    seen = 0

    async def run(number: int) -> None:
        recorder = (recording, other)[number % 2]
        execution_id = await recorder.begin(program_id=programs[number % 3].id)
        await recorder.finish(execution_id)

    async def read() -> None:
        nonlocal seen
        count = (await reloaded(database, programs[0])).execution_count
        assert seen <= count <= 30
        seen = count

    async def fold_and_read() -> None:
        for _ in range(10):
            await asyncio.gather(fold(database), fold(database))
            await read()

    await asyncio.gather(*(run(number) for number in range(90)), fold_and_read())
    assert [(await reloaded(database, one)).execution_count for one in programs] == [30] * 3
    await fold(database)
    assert await recording.counted() == 0
    after = [await reloaded(database, one) for one in programs]
    assert [(one.execution_count, one.folded_count) for one in after] == [(30, 30)] * 3


async def test_the_last_end_is_told_before_and_after_it_is_folded(
    recording: Recording, programs: list[Program]
) -> None:
    """The time of the newest end counts, also where folded and unfolded ends are mixed."""
    program = programs[0]
    assert (await reloaded(recording.database, program)).last_executed_at is None
    for _ in range(2):
        execution_id = await recording.begin(program_id=program.id)
        ended_at = await recording.finish(execution_id)
        assert (await reloaded(recording.database, program)).last_executed_at == ended_at
        await fold(recording.database)
        assert (await reloaded(recording.database, program)).last_executed_at == ended_at
    assert (await reloaded(recording.database, programs[1])).last_executed_at is None


@pytest.fixture
async def year(
    new_database: Callable[[str], Coroutine[None, None, str]], request: pytest.FixtureRequest
) -> AsyncIterator[Database]:
    """A database with the partitions of a year."""
    url = await new_database(f"plans_{zlib.crc32(request.node.name.encode())}")
    database = Database.connect(DatabaseSettings(url=SecretStr(url)))
    async with database.transaction() as tx:
        await tx.partitions.ensure(52)
    yield database
    await database.close()


def _group(*moments: datetime) -> tuple[list[Any], list[Any], list[Any]]:
    """Make the values of a group of records of these moments: of beginnings, ends, and ids."""
    ids = [Ids(ManualClock(moment)).new() for moment in moments for _ in range(25)]
    beginnings = [encoded(BEGINNING, a_row(id=one)) for one in ids]
    ends = [encoded(ENDING, {"id": one, **an_ending()}) for one in ids]
    ranged = [min(ids), max(ids)]
    return (
        list(zip(*beginnings, strict=True)),
        [*zip(*ends, strict=True), *ranged],
        [ids, *ranged],
    )


def _claims(beginnings: list[Any]) -> list[list[bytes]]:
    """Give every beginning a key of its own."""
    keys = [one.bytes for one in beginnings[0]]
    return [keys, keys]


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_no_statement_looks_into_more_than_two_partitions(year: Database, mode: str) -> None:
    """A group at the turn of a week touches the two weeks, of the year that there is."""
    link = await year.open_connection()
    await link.execute(f"SET plan_cache_mode = {mode}")
    monday = Week.of(datetime.now(UTC)).monday + timedelta(weeks=1)
    beginnings, ends, found = _group(monday - timedelta(minutes=1), monday)
    for statement, values in (
        (insert_statement(RUNNING, claims=False), beginnings),
        *(
            (
                insert_statement(of, claims=claims, condition=UNLESS_BEGUN),
                [*beginnings, *(_claims(beginnings) if claims else ())],
            )
            for of, claims in product((RUNNING, PENDING), (False, True))
        ),
        (_FIND, found),
        (_FINISH, ends),
    ):
        rows = await link.fetch(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {statement}", *values)
        plan = "\n".join(row[0] for row in rows)
        touched = [line for line in plan.splitlines() if "(actual" in line and "never" not in line]
        named = set(re.findall(r"executions_\d{4}w\d\d", "\n".join(touched)))
        assert len(named) <= 2, plan
