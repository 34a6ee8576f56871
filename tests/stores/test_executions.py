import asyncio
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from app.database import Database
from app.errors import ExecutionNotFoundError
from app.models import Execution
from app.models.ids import item_id
from app.models.states import EXECUTION_MOVES, ExecutionStatus, Outcome
from app.stores.executions import ExecutionFilter
from app.stores.pages import Page
from app.stores.transaction import Transaction
from tests.stores.rows import IDS, an_ending, an_execution, ended

FINAL = [state for state, moves in EXECUTION_MOVES.items() if not moves]


async def change(tx: Transaction, execution_id: UUID, **values: object) -> None:
    """Put a record into a state that no method of the store leads to."""
    statement = update(Execution).where(Execution.id == execution_id).values(**values)
    await tx.executions._session.execute(statement)


async def test_a_record_is_running_from_the_beginning(database: Database) -> None:
    """A new record is running on the database's time and says nothing of its end."""
    async with database.transaction() as tx:
        execution_id = await an_execution(tx, request_id="r", metadata_={"a": [1, 1.0]})
    async with database.transaction() as tx:
        found = await tx.executions.get(execution_id)
    assert found.status == ExecutionStatus.RUNNING
    assert found.created_at == found.started_at
    assert found.created_at.tzinfo is not None
    assert found.attempts == []
    assert repr(found.metadata_) == repr({"a": [1, 1.0]})
    assert found.request_id == "r"
    assert [found.outcome, found.outputs, found.error, found.finished_at] == [None] * 4


async def test_an_unknown_record_is_said_to_be_so(database: Database) -> None:
    """`get` raises what the client sees, and there is nothing to finish."""
    execution_id = IDS.new()
    async with database.transaction() as tx:
        with pytest.raises(ExecutionNotFoundError, match=str(execution_id)):
            await tx.executions.get(execution_id)
        assert await tx.executions.finish(execution_id, an_ending()) is None


async def test_an_id_is_recorded_once(database: Database) -> None:
    """The primary key itself forbids a second record of an id."""
    async with database.transaction() as tx:
        execution_id = await an_execution(tx)
    with pytest.raises(Exception, match="duplicate key"):
        async with database.transaction() as tx:
            await an_execution(tx, id=execution_id)


async def test_an_end_writes_what_it_is_given(database: Database) -> None:
    """Outputs, attempts, usage and duration stand in the record when it has ended."""
    ending = an_ending(
        outputs={"answer": "\x00\ud800"},
        attempts=[{"adapter": "mock", "error": None}],
        usage={"total_tokens": 18},
        duration_ms=1.25,
        adapter="mock",
        raw_output=None,
    )
    async with database.transaction() as tx:
        execution_id = await an_execution(tx)
        before = await tx.executions.get(execution_id)
        after = await tx.executions.finish(execution_id, ending)
        assert after is before
        assert after.status == ExecutionStatus.COMPLETED
    async with database.transaction() as tx:
        found = await tx.executions.get(execution_id)
    assert found.outcome == Outcome.SUCCESS
    assert found.outputs == {"answer": "\x00\ud800"}
    assert found.attempts == [{"adapter": "mock", "error": None}]
    assert (found.usage, found.duration_ms) == ({"total_tokens": 18}, 1.25)
    assert found.finished_at is not None
    assert found.finished_at >= found.created_at


@pytest.mark.parametrize("second", FINAL)
@pytest.mark.parametrize("first", FINAL)
async def test_an_ended_record_never_changes(
    database: Database, first: ExecutionStatus, second: ExecutionStatus
) -> None:
    """A second end is told that there was one, and writes nothing."""
    async with database.transaction() as tx:
        execution = await ended(tx, an_ending(first, outputs={"answer": "first"}))
    async with database.transaction() as tx:
        late = an_ending(second, outputs={"answer": "second"})
        assert await tx.executions.finish(execution.id, late) is None
    async with database.transaction() as tx:
        found = await tx.executions.get(execution.id)
    assert (found.status, found.outputs) == (first, {"answer": "first"})
    assert found.finished_at == execution.finished_at


async def test_of_many_ends_at_once_one_is_written(database: Database) -> None:
    """Of 50 ends of one record, exactly one wins, and the record is the winner's."""
    async with database.transaction() as tx:
        execution_id = await an_execution(tx)

    async def finish(number: int) -> int | None:
        ending = an_ending(FINAL[number % 3], outputs={"number": number})
        async with database.transaction() as tx:
            written = await tx.executions.finish(execution_id, ending)
        return number if written is not None else None

    ends = await asyncio.gather(*(finish(number) for number in range(50)))
    (winner,) = [number for number in ends if number is not None]
    async with database.transaction() as tx:
        found = await tx.executions.get(execution_id)
    assert (found.status, found.outputs) == (FINAL[winner % 3], {"number": winner})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    status=st.sampled_from([ExecutionStatus.PENDING, ExecutionStatus.RUNNING]),
    targets=st.lists(st.sampled_from(FINAL), max_size=4),
)
async def test_a_record_ends_as_the_table_says(
    database: Database, status: ExecutionStatus, targets: list[ExecutionStatus]
) -> None:
    """Whatever end is asked for in whatever order, only moves of the table are made."""
    async with database.transaction() as tx:
        execution_id = await an_execution(tx)
        await change(tx, execution_id, status=status)
    for target in targets:
        async with database.transaction() as tx:
            written = await tx.executions.finish(execution_id, an_ending(target))
        assert (written is not None) == (target in EXECUTION_MOVES[status])
        status = target if written is not None else status
    async with database.transaction() as tx:
        assert (await tx.executions.get(execution_id)).status == status


async def test_each_filter_narrows_the_list(database: Database) -> None:
    """Program, status, outcome, batch and kind of error each pick their own records."""
    batch_id = IDS.new()
    failure = an_ending(
        ExecutionStatus.FAILED, outcome=Outcome.TIMEOUT, error={"type": "timeout", "context": {}}
    )
    async with database.transaction() as tx:
        item = {"id": item_id(batch_id, 7), "batch_id": batch_id}
        completed = await ended(tx, an_ending(), **item)
        failed = await ended(tx, failure)
        running = await tx.executions.get(await an_execution(tx))
        wanted = {
            completed.id: [
                ExecutionFilter(program_id=completed.program_id),
                ExecutionFilter(status=ExecutionStatus.COMPLETED),
                ExecutionFilter(outcome=Outcome.SUCCESS),
                ExecutionFilter(batch_id=batch_id),
            ],
            failed.id: [
                ExecutionFilter(status=ExecutionStatus.FAILED),
                ExecutionFilter(outcome=Outcome.TIMEOUT),
                ExecutionFilter(error_type="timeout"),
                ExecutionFilter(error_type="timeout", program_id=failed.program_id),
            ],
            running.id: [ExecutionFilter(status=ExecutionStatus.RUNNING)],
        }
        for execution_id, filters in wanted.items():
            for asked in filters:
                page = await tx.executions.list_page(Page(), asked)
                assert [row.id for row in page.items] == [execution_id], asked
        for nothing in (
            ExecutionFilter(error_type="tim"),
            ExecutionFilter(error_type="timeout", status=ExecutionStatus.COMPLETED),
            ExecutionFilter(program_id=IDS.new()),
        ):
            assert (await tx.executions.list_page(Page(), nothing)).items == []


async def test_records_are_listed_by_the_time_of_their_creation(database: Database) -> None:
    """After and before leave the moment itself out, in whatever zone it is written."""
    noon = datetime.now(UTC).replace(hour=12, microsecond=0)
    moments = [noon - timedelta(seconds=1), noon, noon + timedelta(microseconds=1)]
    async with database.transaction() as tx:
        for moment in moments:
            await change(tx, await an_execution(tx), created_at=moment)

        async def found(
            after: datetime | None = None, before: datetime | None = None
        ) -> list[datetime]:
            asked = ExecutionFilter(created_after=after, created_before=before)
            page = await tx.executions.list_page(Page(), asked)
            return sorted(row.created_at for row in page.items)

        assert await found() == moments
        assert await found(after=noon) == moments[2:]
        assert await found(before=noon) == moments[:1]
        assert await found(after=moments[0], before=moments[2]) == [noon]
        assert await found(after=noon.astimezone(timezone(timedelta(hours=9)))) == moments[2:]


async def test_pages_of_a_narrowed_list_hold_what_was_asked_for(database: Database) -> None:
    """Filters and cursor work together: pages of a program hold its records alone."""
    program_id = IDS.new()
    async with database.transaction() as tx:
        ids = []
        for _ in range(5):
            ids.append(await an_execution(tx, program_id=program_id))
            await an_execution(tx)
        asked = ExecutionFilter(program_id=program_id)
        first = await tx.executions.list_page(Page(3), asked)
        second = await tx.executions.list_page(Page(3, first.next_cursor), asked)
    assert [row.id for row in [*first.items, *second.items]] == sorted(ids, reverse=True)
    assert second.next_cursor is None


async def test_those_that_have_ended_are_told_from_those_that_run(database: Database) -> None:
    """Of the records that are asked for; what is not there has not ended."""
    async with database.transaction() as tx:
        running = await an_execution(tx)
        done, other = await ended(tx, an_ending()), await ended(tx, an_ending())
        asked = [running, done.id, IDS.new()]
        assert await tx.executions.list_ended(asked) == [done.id]
    assert other.id not in asked
