import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import pytest

from app.database import Database
from app.models.ids import item_id, place_of
from app.models.states import BatchStatus, ExecutionStatus, Outcome
from app.stores.batch_lanes import HeldLane, Item, LaneLostError
from app.stores.pages import Page
from app.stores.transaction import Transaction
from tests.stores.rows import (
    a_batch,
    a_lane,
    a_running_batch,
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
