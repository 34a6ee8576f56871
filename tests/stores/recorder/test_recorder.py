import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from app.database import Database
from app.errors import DatabaseUnavailableError, ExecutionNotFoundError
from app.models.states import ExecutionStatus
from app.stores.recorder import MOST_WAITING
from app.stores.recorder.writer import MOST_CHARACTERS, MOST_ROWS
from app.stores.recorder.writes import End
from app.telemetry import current_request_id
from tests.stores.recorder.conftest import LEFT, PATIENCE_S, Recording, a_row, failures_of
from tests.stores.rows import IDS, an_ending
from tests.support.factories import a_recorder
from tests.support.wait import wait_until, written

Held = Callable[[], Any]


async def test_a_record_is_written_as_it_was_given(recording: Recording) -> None:
    """Beginning and end stand in the record to the letter, on the database's clock."""
    row = a_row(inputs={"a": "\x00\ud800\ue000"}, metadata={"n": [1, 1.0, None]}, request_id="r")
    began_at = await recording.recorder.begin(row, LEFT, PATIENCE_S)
    begun = await recording.record(row["id"])
    assert (begun.status, begun.attempts) == (ExecutionStatus.RUNNING, [])
    assert begun.created_at == begun.started_at == began_at
    assert (begun.inputs, repr(begun.metadata_)) == (row["inputs"], "{'n': [1, 1.0, None]}")
    assert (begun.program_id, begun.program_name, begun.request_id) == (
        row["program_id"],
        "program",
        "r",
    )
    ending = an_ending(
        outputs={"answer": "\x00"}, attempts=[{"a": 1}], usage={"lm_calls": 1}, duration_ms=1.25
    )
    finished_at = await recording.recorder.finish(row["id"], End(ending), PATIENCE_S)
    ended = await recording.record(row["id"])
    assert (ended.status, ended.outcome, ended.finished_at) == ("completed", "success", finished_at)
    assert (ended.outputs, ended.attempts) == ({"answer": "\x00"}, [{"a": 1}])
    assert (ended.usage, ended.duration_ms, ended.error) == ({"lm_calls": 1}, 1.25, None)


async def test_rows_that_arrive_during_a_write_go_together_in_the_next(
    recording: Recording, held: Held
) -> None:
    """Of ten beginnings nine share one statement, and so do nine of ten ends."""
    async with held() as hold:
        runs = [asyncio.create_task(recording.begin())]
        await hold.until_waiting()
        runs += [asyncio.create_task(recording.begin()) for _ in range(9)]
        await asyncio.sleep(0)
    ids = await asyncio.gather(*runs)
    assert len(recording.statements) == 2
    async with held() as hold:
        ends = [asyncio.create_task(recording.finish(ids[0]))]
        await hold.until_waiting()
        ends += [asyncio.create_task(recording.finish(one)) for one in ids[1:]]
        await asyncio.sleep(0)
    assert None not in await asyncio.gather(*ends)
    assert len(recording.statements) == 4
    assert recording.connects == 2
    assert sorted(recording.ended) == sorted(ids)
    assert await recording.counted() == 10


async def test_a_group_has_a_most_of_rows_and_of_characters(
    recording: Recording, held: Held
) -> None:
    """What is over goes into the next one."""
    async with held() as hold:
        runs = [asyncio.create_task(recording.begin())]
        await hold.until_waiting()
        runs += [asyncio.create_task(recording.begin()) for _ in range(MOST_ROWS + 1)]
        await asyncio.sleep(0)
    await asyncio.gather(*runs)
    assert len(recording.statements) == 3
    async with held() as hold:
        runs = [asyncio.create_task(recording.begin())]
        await hold.until_waiting()
        long = {"text": "a" * (MOST_CHARACTERS // 2)}
        runs += [asyncio.create_task(recording.begin(inputs=long)) for _ in range(3)]
        await asyncio.sleep(0)
    await asyncio.gather(*runs)
    assert len(recording.statements) == 6


@pytest.mark.parametrize(
    "poison", [{"program_name": "\x00"}, {"program_revision": 2**40}], ids=["database", "driver"]
)
async def test_one_row_that_is_refused_fails_alone(
    recording: Recording, held: Held, poison: dict[str, Any]
) -> None:
    """Of ten rows in a group, the one that cannot be is told so, and nine are written."""
    async with held() as hold:
        runs = [recording.begin()]
        first = asyncio.create_task(runs.pop())
        await hold.until_waiting()
        rest = [
            asyncio.create_task(recording.begin(**(poison if number == 4 else {})))
            for number in range(10)
        ]
        await asyncio.sleep(0)
    failures = await failures_of(first, *rest)
    assert [number for number, failure in enumerate(failures) if failure] == [5]


async def test_one_end_that_is_refused_fails_alone(recording: Recording) -> None:
    """Its record runs on, the others have ended."""
    ids = [await recording.begin() for _ in range(10)]
    failures = await failures_of(
        *(recording.finish(one, adapter="\x00" if one == ids[3] else "a") for one in ids)
    )
    assert [number for number, failure in enumerate(failures) if failure] == [3]
    statuses = [(await recording.record(one)).status for one in ids]
    assert [number for number, status in enumerate(statuses) if status == "running"] == [3]
    assert await recording.counted() == 9


async def test_an_id_is_begun_once(recording: Recording) -> None:
    """A second beginning of an id is told that there was one, and its neighbours are not."""
    taken = await recording.begin()
    failures = await failures_of(recording.begin(), recording.begin(id=taken), recording.begin())
    assert [type(failure) for failure in failures] == [
        type(None),
        asyncpg.UniqueViolationError,
        type(None),
    ]


async def test_a_record_that_has_ended_stays_as_it_is(recording: Recording) -> None:
    """A second end is told so, counts nothing, and neither does the end of nothing."""
    execution_id = await recording.begin()
    assert await recording.finish(execution_id, outputs={"answer": "first"})
    assert await recording.finish(execution_id, outputs={"answer": "second"}) is None
    assert await recording.finish(IDS.new()) is None
    assert (await recording.record(execution_id)).outputs == {"answer": "first"}
    assert await recording.counted() == 1


async def test_a_deadlock_is_repeated(recording: Recording, database_url: str) -> None:
    """A group that the database sacrificed is written again, and nobody hears of it."""
    low, high = sorted([await recording.begin(), await recording.begin()])
    other = await asyncpg.connect(database_url)
    await other.execute("SET deadlock_timeout = '1min'")
    touch = "UPDATE executions SET adapter = 'other' WHERE id = $1"
    waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    async with other.transaction():
        await other.execute(touch, high)
        ends = [asyncio.create_task(recording.finish(one)) for one in (high, low)]
        async with asyncio.timeout(10):
            while not await other.fetchval(waits):
                pass
        await other.execute(touch, low)
    assert None not in await asyncio.gather(*ends)
    await other.close()
    assert await recording.counted() == 2


async def test_a_caller_that_leaves_the_queue_leaves_no_record(
    recording: Recording, held: Held
) -> None:
    """A beginning that nobody waits for is not written."""
    async with held() as hold:
        first = asyncio.create_task(recording.begin())
        await hold.until_waiting()
        row = a_row()
        second = asyncio.create_task(recording.recorder.begin(row, LEFT, PATIENCE_S))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait({second})
    await first
    await written()
    with pytest.raises(ExecutionNotFoundError):
        await recording.record(row["id"])


@pytest.mark.parametrize("is_cancelled", [True, False], ids=["cancelled", "impatient"])
async def test_a_caller_that_leaves_during_the_write_leaves_a_record_that_ends(
    recording: Recording, held: Held, *, is_cancelled: bool
) -> None:
    """Written when nobody waits any more, it ends as its beginning said."""
    row = a_row()
    async with held() as hold:
        patience_s = PATIENCE_S if is_cancelled else 0.05
        begin = asyncio.create_task(recording.recorder.begin(row, LEFT, patience_s))
        await hold.until_waiting()
        if is_cancelled:
            begin.cancel()
        (failure,) = await asyncio.gather(begin, return_exceptions=True)
    expected = asyncio.CancelledError if is_cancelled else DatabaseUnavailableError
    assert isinstance(failure, expected)
    await written()
    assert (await recording.record(row["id"])).status == "cancelled"
    assert await recording.counted() == 1


async def test_an_end_is_written_although_its_caller_has_gone(
    recording: Recording, held: Held
) -> None:
    """Cancelled in the queue or too late, what was paid for is kept."""
    ids = [await recording.begin() for _ in range(3)]
    async with held() as hold:
        ends = [asyncio.create_task(recording.finish(ids[0]))]
        await hold.until_waiting()
        ends += [
            asyncio.create_task(recording.finish(ids[1])),
            asyncio.create_task(recording.finish(ids[2], 0.01)),
        ]
        await asyncio.sleep(0)
        ends[1].cancel()
        await asyncio.wait(ends[1:])
    failures = await failures_of(*ends)
    assert [type(failure) for failure in failures] == [
        type(None),
        asyncio.CancelledError,
        DatabaseUnavailableError,
    ]
    assert {(await recording.record(one)).status for one in ids} == {"completed"}


async def test_an_end_that_is_refused_when_nobody_waits_is_logged(
    recording: Recording, held: Held, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says which record was not written, and why."""
    execution_id = await recording.begin()
    async with held() as hold:
        end = asyncio.create_task(recording.finish(execution_id, adapter="\x00"))
        other = asyncio.create_task(recording.finish(IDS.new()))
        await hold.until_waiting()
        end.cancel()
    await failures_of(end, other)
    (record,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert record.getMessage() == f"execution {execution_id} is not written"
    assert record.exc_info


async def test_beginnings_over_the_bound_are_refused(recording: Recording, held: Held) -> None:
    """While the writer is held up, what would wait behind ten thousand is told to come again."""
    execution_id = await recording.begin()
    async with held() as hold:
        runs = [asyncio.create_task(recording.begin())]
        await hold.until_waiting()
        runs += [asyncio.create_task(recording.begin()) for _ in range(MOST_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(DatabaseUnavailableError) as told:
            await recording.begin()
        assert told.value.retry_after_s == 1.0
        end = asyncio.create_task(recording.finish(execution_id))
        for run in runs:
            run.cancel()
        await asyncio.wait(runs)
    assert await end is not None


async def test_close_writes_what_waits(recording: Recording, held: Held) -> None:
    """Beginnings, their ends, and the ends of those whose callers had gone."""
    running = [await recording.begin() for _ in range(5)]
    async with held() as hold:
        begin = asyncio.create_task(recording.begin())
        await hold.until_waiting()
        ends = [asyncio.create_task(recording.finish(one)) for one in running]
        begin.cancel()
        await asyncio.wait({begin})
        closing = asyncio.create_task(recording.recorder.close(PATIENCE_S))
        await hold.until_waiting(2)
    await closing
    assert all(end.done() for end in ends)
    assert await recording.counted() == 6


async def test_close_gives_up_in_time(
    recording: Recording, held: Held, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be written within the grace is told to its callers and to the log."""
    execution_id = await recording.begin()
    async with held() as hold:
        ends = [asyncio.create_task(recording.finish(execution_id))]
        await hold.until_waiting()
        ends.append(asyncio.create_task(recording.finish(IDS.new())))
        await asyncio.sleep(0)
        await recording.recorder.close(0.01)
        failures = await asyncio.gather(*ends, return_exceptions=True)
    assert [type(failure) for failure in failures] == [DatabaseUnavailableError] * 2
    lost = [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR]
    assert f"execution {execution_id} is not written: the database is away" in lost
    assert (await recording.record(execution_id)).status == "running"


async def test_rows_of_many_requests_are_written_in_the_name_of_none(database: Database) -> None:
    """What the writer logs does not name the request that happened to wake it."""
    named: list[str | None] = []
    recorder = a_recorder(database, ended=lambda _: named.append(current_request_id.get()))
    current_request_id.set("request-1")
    row = a_row()
    await recorder.begin(row, LEFT, PATIENCE_S)
    await recorder.finish(row["id"], End(an_ending()), PATIENCE_S)
    await wait_until(lambda: bool(named))
    assert named == [None]


async def test_an_observer_that_fails_disturbs_no_record(database: Database) -> None:
    """It is heard after the commit; what it raises goes to the loop."""
    heard: list[str] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: heard.append(repr(context["exception"]))
    )

    def fail(_: Sequence[UUID]) -> None:
        raise ValueError("no")

    def fail_too() -> None:
        raise ValueError("never")

    recorder = a_recorder(database, ended=fail)
    row = a_row()
    await recorder.begin(row, LEFT, PATIENCE_S)
    end = End(an_ending(), fail_too)
    assert await recorder.finish(row["id"], end, PATIENCE_S) is not None
    await wait_until(lambda: heard == ["ValueError('never')", "ValueError('no')"])


@pytest.mark.parametrize("year", [1990, 2001, 2025, 2027, 2100])
async def test_a_record_of_any_time_finds_its_partition(recording: Recording, year: int) -> None:
    """A week without partition gets one when a record of it comes; its neighbours wait for that."""
    from_then = UUID(int=(int(datetime(year, 6, 1, tzinfo=UTC).timestamp() * 1_000) << 80) + 7)
    failures = await failures_of(
        recording.begin(), recording.begin(id=from_then), recording.begin()
    )
    assert failures == [None] * 3
    assert await recording.finish(from_then) is not None
    assert (await recording.record(from_then)).status == "completed"


async def test_an_id_beyond_the_calendar_is_refused_alone(recording: Recording) -> None:
    """No week holds it; its neighbours are written."""
    beyond = UUID(int=(1 << 128) - 1)
    failures = await failures_of(recording.begin(), recording.begin(id=beyond))
    assert [type(failure) for failure in failures] == [type(None), OverflowError]
