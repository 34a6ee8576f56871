"""Figures over executions, held against figures that are reckoned here."""

import re
from datetime import UTC, datetime
from statistics import mean
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.dialects import postgresql

from app.database import Database
from app.models import Execution
from app.models.ids import first_id
from app.models.states import ExecutionStatus, Outcome
from app.stores.statistics import _last_ended
from tests.stores.rows import IDS, an_ending, an_execution, ended

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "lm_calls": 1}
DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
LITERAL = {"literal_binds": True}
NO_USAGE = dict.fromkeys(USAGE, 0)


async def test_nothing_that_ran_has_no_figures(database: Database) -> None:
    """Every status is told with its count of 0; there is no mean of nothing."""
    async with database.transaction() as tx:
        figures = await tx.statistics.of_program(IDS.new())
    assert figures.by_status == dict.fromkeys(ExecutionStatus, 0)
    assert figures.by_error == {}
    assert set(vars(figures.duration_ms).values()) == {None}
    assert figures.usage == NO_USAGE


async def test_figures_are_those_of_the_records(database: Database) -> None:
    """Counts, durations and usage add up over one program, and no other's executions count."""
    program_id = IDS.new()
    durations = [float(number) for number in range(1, 101)]
    failed = an_ending(
        ExecutionStatus.FAILED,
        outcome=Outcome.TIMEOUT,
        error={"type": "timeout"},
        duration_ms=100.0,
        usage=USAGE,
    )
    async with database.transaction() as tx:
        for duration in durations[:-1]:
            ending = an_ending(duration_ms=duration, usage=USAGE)
            await ended(tx, ending, program_id=program_id)
        await ended(tx, failed, program_id=program_id)
        await an_execution(tx, program_id=program_id)
        await ended(tx, failed)
        figures = await tx.statistics.of_program(program_id)
    assert figures.by_status == {
        **dict.fromkeys(ExecutionStatus, 0),
        ExecutionStatus.COMPLETED: 99,
        ExecutionStatus.FAILED: 1,
        ExecutionStatus.RUNNING: 1,
    }
    assert figures.by_error == {"timeout": 1}
    shares = figures.duration_ms
    assert shares.mean == pytest.approx(mean(durations))
    assert (shares.p50, shares.p95, shares.p99) == pytest.approx((50.5, 95.05, 99.01))
    assert figures.usage == {name: 100 * amount for name, amount in USAGE.items()}


def _id_of(age_ms: int) -> UUID:
    return first_id(int(datetime.now(UTC).timestamp() * 1_000) - age_ms)


async def test_a_window_counts_what_was_made_within_it(database: Database) -> None:
    """What is older does not count, nor what has no usage."""
    program_id = IDS.new()
    async with database.transaction() as tx:
        await ended(tx, an_ending(duration_ms=1.0), program_id=program_id, id=_id_of(5_000))
        await ended(tx, an_ending(duration_ms=3.0), program_id=program_id, id=IDS.new())
        all_of_it = await tx.statistics.of_program(program_id)
        lately = await tx.statistics.of_program(program_id, 2_500)
        for_ever = await tx.statistics.of_program(program_id, 10**14)
    assert all_of_it == for_ever
    assert (all_of_it.by_status[ExecutionStatus.COMPLETED], all_of_it.duration_ms.mean) == (2, 2.0)
    assert (lately.by_status[ExecutionStatus.COMPLETED], lately.duration_ms.mean) == (1, 3.0)
    assert lately.usage == NO_USAGE


async def test_the_last_ends_are_found_by_their_index(database: Database) -> None:
    """In each partition that there is; no row that has not ended is looked at."""
    async with database.transaction() as tx:
        query = _last_ended(100, Execution.__table__.c.id)
        statement = query.compile(dialect=DIALECT, compile_kwargs=LITERAL)
        await tx.statistics._session.execute(text("SET LOCAL enable_seqscan = off"))
        plan = await tx.statistics._session.scalars(text(f"EXPLAIN {statement}"))
    lines = [line for line in plan if "Scan" in line]
    assert lines
    assert all("Index Scan Backward using executions_" in line for line in lines)
    assert all("finished_at_idx" in line for line in lines)


async def test_a_window_reads_its_partitions_alone(database: Database) -> None:
    """Neither what was kept for years nor the weeks ahead are looked at for an hour's figures."""
    async with database.transaction() as tx:
        low, high = await tx.statistics._ids_within(3_600_000)
        plan = await tx.statistics._session.scalars(
            text("EXPLAIN SELECT count(*) FROM executions WHERE id BETWEEN :low AND :high"),
            {"low": low, "high": high},
        )
    partitions = {
        word for line in plan for word in line.split() if re.fullmatch(r"executions_\d+w\d+", word)
    }
    assert len(partitions) in {1, 2}
