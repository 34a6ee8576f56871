import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.database import Database
from app.models.batches import QUEUE
from app.models.ids import item_id, place_of
from app.models.states import BatchStatus, ExecutionStatus, Outcome
from app.stores.batch_lanes import HeldLane, Item, LaneLostError, LaneStore
from app.stores.pages import Page
from app.stores.transaction import Transaction
from tests.stores.rows import (
    IDS,
    a_batch,
    a_lane,
    a_process,
    a_running_batch,
    an_execution,
    item_ending,
)
from tests.stores.test_batch_items import counted
from tests.stores.test_batches import counts

LOST = {"adapter": "mock", "error": {"type": "worker_crashed"}}


def places(items: Any) -> list[int]:
    """Give the places of items."""
    return [place_of(item.id) for item in items]


async def claimed(tx: Transaction, lane: HeldLane, limit: int) -> list[Item]:
    """Hand items to a lane."""
    items = await tx.lanes.claim(lane, limit)
    assert items is not None
    return list(items)


async def retaken(tx: Transaction, lane: HeldLane) -> HeldLane:
    """Take a lane in another process, the first having died."""
    await tx.processes.end(lane.owner_id)
    return await a_lane(tx, lane.batch_id, lane.number)


async def test_items_are_handed_out_once_in_order(database: Database) -> None:
    """Each to one lane, whose number, process and time its record names."""
    async with database.transaction() as tx:
        batch_id = await a_running_batch(tx, 5, shares=(1, 1))
        lanes = [await a_lane(tx, batch_id, number) for number in (0, 1)]
        first = await claimed(tx, lanes[0], 2)
        second = await claimed(tx, lanes[1], 2)
        rest = await claimed(tx, lanes[0], 2)
        assert await tx.lanes.claim(lanes[0], 2) is None
        record = await tx.executions.get(second[1].id)
        read = await tx.batches.get(batch_id)
    assert [places(items) for items in (first, second, rest)] == [[0, 1], [2, 3], [4]]
    assert (second[1].index, second[1].attempts) == (3, [])
    assert (second[1].inputs, second[1].taken_ms) == ({"question": "3"}, 0)
    assert (record.status, record.lane, record.owner_id) == ("running", 1, lanes[1].owner_id)
    assert record.started_at is not None
    assert counts(read) == [0, 5, 0, 0, 0]


@pytest.mark.parametrize("how", ["pending", "paused", "stopping", "completed"])
async def test_a_batch_that_does_not_run_hands_nothing_out(database: Database, how: str) -> None:
    """Before it starts, while it is paused, and as soon as it is to stop."""
    async with database.transaction() as tx:
        batch_id = await a_batch(tx)
        lane = await a_lane(tx, batch_id)
        if how != "pending":
            await tx.batches.start(batch_id)
        if how == "paused":
            await tx.batches.pause(batch_id)
        if how == "stopping":
            await tx.batches.stop(batch_id, BatchStatus.CANCELLED)
        if how == "completed":
            await tx.batches.close(batch_id, {})
        assert await tx.lanes.claim(lane, 1) is None
        assert counts(await tx.batches.get(batch_id)) == [3, 0, 0, 0, 0]


async def test_items_that_have_ended_ahead_are_passed_by(database: Database) -> None:
    """They are not handed out, and the counts add up before and after."""
    async with database.transaction() as tx:
        batch_id = await a_running_batch(tx, 5, invalid=(1, 2, 4))
        lane = await a_lane(tx, batch_id)
        seen = [counts(await tx.batches.get(batch_id))]
        found = []
        for _ in range(3):
            found.append(places(await claimed(tx, lane, 2)))
            seen.append(counts(await tx.batches.get(batch_id)))
    assert found == [[0], [3], []]
    assert seen == [[2, 0, 0, 3, 0], [1, 1, 0, 3, 0], [0, 2, 0, 3, 0], [0, 2, 0, 3, 0]]


async def test_ends_are_written_and_counted_together(database: Database) -> None:
    """What each cost is in the batch's sums; an item that had ended is told and counted once."""
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "lm_calls": 1}
    async with database.transaction() as tx:
        batch_id = await a_running_batch(tx, 4)
        lane = await a_lane(tx, batch_id)
        items = await claimed(tx, lane, 4)
        ends = [
            item_ending(items[3], outputs={"answer": "\x00"}, usage=usage, retries=2),
            item_ending(items[0], ExecutionStatus.FAILED, outcome=Outcome.TIMEOUT, usage=usage),
            item_ending(items[1], ExecutionStatus.CANCELLED, outcome=Outcome.CANCELLED),
        ]
        assert await tx.lanes.finish(lane, ends) == {items[number].id for number in (0, 1, 3)}
        assert await tx.lanes.finish(lane, ends) == set()
        read = await tx.batches.get(batch_id)
        record = await tx.executions.get(items[3].id)
        assert await counted(tx) == 3
    assert counts(read) == [0, 1, 1, 1, 1]
    assert (read.tally.retries, read.tally.duration_ms) == (2, 6.0)
    assert (read.tally.prompt_tokens, read.tally.completion_tokens) == (6, 4)
    assert (read.tally.total_tokens, read.tally.lm_calls) == (10, 2)
    assert (record.status, record.outputs, record.usage) == ("completed", {"answer": "\x00"}, usage)
    assert record.finished_at is not None


async def test_a_lane_is_taken_from_nobody_who_lives(database: Database) -> None:
    """From one who has given it back, has ended, or is not known any more; from oneself always."""
    async with database.transaction() as tx:
        batch_id = await a_running_batch(tx)
        lane = await a_lane(tx, batch_id)
        other = await a_process(tx)
        assert await tx.lanes.take(batch_id, 0, other) is None
        assert await tx.lanes.take(batch_id, 9, other) is None
        again = await tx.lanes.take(batch_id, 0, lane.owner_id)
        assert again is not None
        assert (again.lane.token, again.has_crashed) == (lane.token + 1, False)
        assert not await tx.lanes.release(lane, waits=False)
        assert await tx.lanes.release(again.lane, waits=False)
        given = await tx.lanes.take(batch_id, 0, other)
        assert given is not None
        assert not given.has_crashed
        await tx.processes.end(other)
        left = await tx.lanes.take(batch_id, 0, IDS.new())
        assert left is not None
        assert left.has_crashed
        unknown = await tx.lanes.take(batch_id, 0, other)
        assert unknown is not None
        assert unknown.has_crashed


async def test_of_many_who_take_a_lane_at_once_one_gets_it(database: Database) -> None:
    """The others find that it is held."""
    async with database.transaction() as tx:
        batch_id = await a_running_batch(tx)
        owners = [await a_process(tx) for _ in range(8)]

    async def take(owner_id: UUID) -> bool:
        async with database.transaction() as tx:
            return await tx.lanes.take(batch_id, 0, owner_id) is not None

    assert sum(await asyncio.gather(*map(take, owners))) == 1


async def test_what_a_lane_left_running_is_taken_back(database: Database) -> None:
    """Its items and no others, in order, with the attempts that they had; they stay running."""
    async with database.transaction() as tx:
        batch_id = await a_running_batch(tx, 6, shares=(2, 2))
        lane, beside = await a_lane(tx, batch_id), await a_lane(tx, batch_id, 1)
        items = await claimed(tx, lane, 3)
        await claimed(tx, beside, 2)
        await an_execution(tx, owner_id=lane.owner_id)
        await tx.lanes.finish(lane, [item_ending(items[1])])
        await tx.lanes.set_alone(lane, 2)
        await tx.processes.end(lane.owner_id)
        taken = await tx.lanes.take(batch_id, 0, await a_process(tx))
        assert taken is not None
        assert (taken.has_crashed, taken.alone, places(taken.left)) == (True, 2, [0, 2])
        assert [item.attempts for item in taken.left] == [[], []]
        assert await tx.lanes.list_running(taken.lane) == taken.left
        assert counts(await tx.batches.get(batch_id)) == [1, 4, 1, 0, 0]
        lost = replace(items[0], attempts=[LOST])
        await tx.lanes.note_attempts(taken.lane, [lost])
        again = await retaken(tx, taken.lane)
        assert again.token == lane.token + 2
        taken_again = await tx.lanes.take(batch_id, 0, again.owner_id)
        assert taken_again is not None
        assert taken_again.alone is None
        assert [list(item.attempts) for item in taken_again.left] == [[LOST], []]


async def test_a_lane_that_was_given_back_is_no_crash(database: Database) -> None:
    """What it left running is taken back all the same."""
    async with database.transaction() as tx:
        batch_id = await a_running_batch(tx)
        lane = await a_lane(tx, batch_id)
        await claimed(tx, lane, 2)
        assert await tx.lanes.release(lane, waits=False)
        taken = await tx.lanes.take(batch_id, 0, await a_process(tx))
    assert taken is not None
    assert (taken.has_crashed, places(taken.left)) == (False, [0, 1])


async def test_a_holder_whose_lane_was_taken_writes_nothing(database: Database) -> None:
    """No claim, no end, no note; the record is the new holder's to end."""
    async with database.transaction() as tx:
        batch_id = await a_running_batch(tx, 3)
        lane = await a_lane(tx, batch_id)
        (item,) = await claimed(tx, lane, 1)
        now = await retaken(tx, lane)
    late = item_ending(item, outputs={"answer": "late"})
    writes: list[Callable[[Transaction], Awaitable[object]]] = [
        lambda tx: tx.lanes.claim(lane, 1),
        lambda tx: tx.lanes.finish(lane, [late]),
        lambda tx: tx.lanes.set_alone(lane, 0),
        lambda tx: tx.lanes.note_attempts(lane, [item]),
    ]
    for write in writes:
        with pytest.raises(LaneLostError, match="was taken"):
            async with database.transaction() as tx:
                await write(tx)
    async with database.transaction() as tx:
        assert not await tx.lanes.release(lane, waits=False)
        assert counts(await tx.batches.get(batch_id)) == [2, 1, 0, 0, 0]
        assert await tx.lanes.finish(now, [item_ending(item)]) == {item.id}


async def test_items_that_killed_their_process_are_counted_apart(database: Database) -> None:
    """As failed, and as poisonous besides."""
    async with database.transaction() as tx:
        batch_id = await a_running_batch(tx)
        lane = await a_lane(tx, batch_id)
        (item,) = await claimed(tx, lane, 1)
        await tx.lanes.finish(lane, [item_ending(item, ExecutionStatus.FAILED)], poisonous=1)
        read = await tx.batches.get(batch_id)
    assert (read.tally.poisonous, counts(read)) == (1, [2, 0, 0, 1, 0])


async def test_the_next_lane_is_of_the_batch_with_the_fewest(database: Database) -> None:
    """The one that has waited longest first; where one is kept free, of a batch without any."""
    async with database.transaction() as tx:
        large = await a_running_batch(tx, shares=(1, 1, 1))
    async with database.transaction() as tx:
        small = await a_batch(tx, shares=(1, 1))
    taken: list[tuple[UUID, int]] = []

    async def take(*, is_first: bool = False) -> tuple[UUID, int] | None:
        async with database.transaction() as tx:
            found = await tx.lanes.take_next(await a_process(tx), is_first=is_first)
        return None if found is None else (found.lane.batch_id, found.lane.number)

    async with database.transaction() as tx:
        assert await tx.lanes.count_waiting() == 5
    assert await take() == (large, 0)
    assert await take(is_first=True) == (small, 0)
    assert await take(is_first=True) is None
    taken = [lane for _ in range(3) if (lane := await take())]
    assert taken == [(large, 1), (small, 1), (large, 2)]
    assert await take() is None
    async with database.transaction() as tx:
        assert await tx.lanes.count_waiting() == 0


async def test_lanes_that_wait_are_taken_once_each(database: Database) -> None:
    """Whoever asks at the same time: each gets another lane, until there is none."""
    async with database.transaction() as tx:
        for _ in range(2):
            await a_running_batch(tx, shares=(1, 1, 1))
        owners = [await a_process(tx) for _ in range(8)]

    async def take(owner_id: UUID) -> HeldLane | None:
        async with database.transaction() as tx:
            taken = await tx.lanes.take_next(owner_id)
        return None if taken is None else taken.lane

    found = [lane for lane in await asyncio.gather(*map(take, owners)) if lane]
    assert len({(lane.batch_id, lane.number) for lane in found}) == len(found) == 6


async def test_somebody_is_reminded_of_lanes_that_wait(database: Database) -> None:
    """Where there are any."""
    async with database.transaction() as tx:
        await tx.lanes.remind()
        assert QUEUE not in await tx.jobs.count_waiting()
        await a_batch(tx)
        await tx.lanes._session.execute(text("DELETE FROM procrastinate_jobs"))
        await tx.lanes.remind()
        assert (await tx.jobs.count_waiting())[QUEUE] == 1


async def test_who_is_too_late_for_a_lane_takes_the_next(database: Database) -> None:
    """Where another has taken it since this one looked for lanes that wait."""
    async with database.transaction() as tx:
        batch_id = await a_running_batch(tx, shares=(1, 1))
        owner_id = await a_process(tx)

    async def meanwhile() -> None:
        async with database.transaction() as tx:
            await a_lane(tx, batch_id)

    async with database.transaction() as tx:
        late = _Late(database, tx.lanes._session, meanwhile)
        taken = await LaneStore(late).take_next(owner_id)  # type: ignore[arg-type]
    assert taken is not None
    assert (taken.lane.number, taken.lane.owner_id) == (1, owner_id)


class _Late:
    """A session whose first answer is older than what has been done meanwhile."""

    def __init__(
        self, database: Database, session: Any, meanwhile: Callable[[], Awaitable[None]]
    ) -> None:
        self._database = database
        self._session = session
        self._meanwhile = [meanwhile]

    async def execute(self, *asked: Any) -> Any:
        if not self._meanwhile:
            return await self._session.execute(*asked)
        async with self._database.transaction() as tx:
            seen = await tx.lanes._session.execute(*asked)
        await self._meanwhile.pop()()
        return seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


async def test_a_lane_that_was_given_back_waits_where_there_is_work(database: Database) -> None:
    """It does not where there is none, unless it was called meanwhile; a dead one's waits."""
    async with database.transaction() as tx:
        batch_id = await a_running_batch(tx)
        owner_id = await a_process(tx)

        async def take() -> HeldLane | None:
            taken = await tx.lanes.take_next(owner_id)
            return None if taken is None else taken.lane

        lane = await take()
        assert lane
        assert await take() is None
        await tx.lanes.release(lane, waits=True)
        lane = await take()
        assert lane
        await tx.batches.stop(batch_id, BatchStatus.CANCELLED)
        await tx.lanes.release(lane, waits=False)
        lane = await take()
        assert lane
        await tx.lanes.release(lane, waits=False)
        assert await take() is None
        lane = await a_lane(tx, batch_id)
        await tx.processes.end(lane.owner_id)
        assert await tx.lanes.count_waiting() == 1
        again = await take()
        assert again is not None
        assert again.token == lane.token + 1


async def test_a_resumed_batch_calls_all_its_lanes(database: Database) -> None:
    """Also those that are held: they are taken once more afterwards."""
    async with database.transaction() as tx:
        batch_id = await a_running_batch(tx, shares=(1, 1))
        lanes = [await a_lane(tx, batch_id, number) for number in (0, 1)]
        await tx.batches.pause(batch_id)
        await tx.lanes.release(lanes[0], waits=False)
        assert await tx.lanes.count_waiting() == 0
        await tx.batches.resume(batch_id)
        assert await tx.lanes.count_waiting() == 1
        await tx.lanes.release(lanes[1], waits=False)
        assert await tx.lanes.count_waiting() == 2


async def _work(database: Database, lane: HeldLane) -> None:
    """Claim and end items until there are none."""
    items: Sequence[Item] | None = ()
    while items is not None:
        for item in items:
            async with database.transaction() as tx:
                await tx.lanes.finish(lane, [item_ending(item)])
        async with database.transaction() as tx:
            items = await tx.lanes.claim(lane, 7)


async def _cancel(database: Database, batch_id: UUID, total: int) -> None:
    """Cancel items here and there from outside."""
    ending = {"status": "cancelled", "outcome": "cancelled"}
    for place in range(0, total, 9):
        async with database.transaction() as tx:
            await tx.batches.hold(batch_id)
            was = (await tx.executions.get(item_id(batch_id, place))).status
            if await tx.executions.cancel(item_id(batch_id, place), ending):
                was_pending = was == ExecutionStatus.PENDING
                await tx.batches.count_cancelled(batch_id, was_pending=was_pending)


async def _read(database: Database, batch_id: UUID, total: int, over: asyncio.Event) -> int:
    """Read the counts again and again, and hold them against what must be so; tell how often."""
    reads, last = 0, 0
    while not over.is_set():
        async with database.transaction() as tx:
            found = await tx.batches.get(batch_id)
        assert sum(counts(found)) == total
        assert min(counts(found)) >= 0
        assert found.ended_items >= last
        last, reads = found.ended_items, reads + 1
    return reads


async def test_counts_add_up_at_every_moment(database: Database) -> None:
    """While lanes claim and end, others cancel items and everybody reads: total, and SQL agrees."""
    total, over = 120, asyncio.Event()
    async with database.transaction() as tx:
        batch_id = await a_running_batch(tx, total, shares=[1] * 4, invalid=(5, 50, 119))
        held = [await a_lane(tx, batch_id, number) for number in range(4)]
    reading = asyncio.gather(*(_read(database, batch_id, total, over) for _ in range(2)))
    working = (_work(database, lane) for lane in held)
    await asyncio.gather(*working, _cancel(database, batch_id, total))
    over.set()
    assert min(await reading) > 3
    async with database.transaction() as tx:
        found = await tx.batches.get(batch_id)
        items = (await tx.batch_items.list_ended(batch_id, Page(total))).items
    statuses = [item.status for item in items]
    by_sql = [statuses.count(status) for status in ("completed", "failed", "cancelled")]
    assert counts(found) == [0, 0, *by_sql]
    assert sum(by_sql) == total
