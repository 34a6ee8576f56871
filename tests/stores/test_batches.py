import asyncio
from uuid import UUID

import pytest

from app.database import Database
from app.errors import BatchNotFoundError
from app.models.states import BATCH_MOVES, BatchStatus
from app.stores.batches import BatchReading
from app.stores.pages import Page
from app.stores.transaction import Transaction
from tests.stores.rows import IDS, a_batch, a_lane, a_running_batch, item_ending
from tests.support.holds import until_held_up

FINAL = [status for status, moves in BATCH_MOVES.items() if not moves]
P = {"p50": None, "p90": None, "p95": None, "p99": None}


def counts(read: BatchReading) -> list[int]:
    """Give pending, running, successful, failed and cancelled."""
    found = [read.pending_items, read.running_items, read.successful_items]
    return [*found, read.failed_items, read.cancelled_items]


async def status_of(tx: Transaction, batch_id: UUID) -> str:
    """Read the status of a batch."""
    return (await tx.batches.get(batch_id)).batch.status


async def test_a_new_batch_waits(database: Database) -> None:
    """It has its items and its lanes; nothing of it has begun."""
    async with database.transaction() as tx:
        batch_id = await a_batch(tx, 5, shares=(2, 1), invalid=(1, 4))
        read = await tx.batches.get(batch_id)
        assert await tx.lanes.list_numbers(batch_id) == [0, 1]
    assert (read.id, read.batch.status) == (batch_id, "pending")
    assert counts(read) == [3, 0, 0, 2, 0]
    assert read.ended_items == 2
    assert (read.batch.started_at, read.batch.finished_at) == (None, None)
    assert (read.tally.retries, read.tally.duration_ms) == (0, 0.0)


async def test_an_empty_batch_is_completed_at_once(database: Database) -> None:
    """It begins and ends when it is added, and needs no lane."""
    async with database.transaction() as tx:
        read = await tx.batches.get(await a_batch(tx, 0, shares=()))
    assert read.batch.status == "completed"
    assert read.batch.created_at == read.batch.started_at == read.batch.finished_at
    assert counts(read) == [0] * 5


async def test_an_unknown_batch_is_said_to_be_so(database: Database) -> None:
    """By reading it and by holding it; nothing moves."""
    batch_id = IDS.new()
    async with database.transaction() as tx:
        for look in (tx.batches.get, tx.batches.hold):
            with pytest.raises(BatchNotFoundError, match=str(batch_id)):
                await look(batch_id)
        assert not await tx.batches.pause(batch_id)
        assert await tx.batches.find_stopping(batch_id) is None
        assert await tx.waiting_lanes.take(batch_id, 0, IDS.new()) is None


async def test_a_batch_is_paused_and_resumed(database: Database) -> None:
    """Also before it has begun; each move is made once, and only where it is allowed."""
    async with database.transaction() as tx:
        batch_id = await a_batch(tx)
        assert not await tx.batches.resume(batch_id)
        for _ in range(2):
            assert await tx.batches.pause(batch_id)
            assert not await tx.batches.pause(batch_id)
            assert not await tx.batches.start(batch_id)
            assert await status_of(tx, batch_id) == "paused"
            assert await tx.batches.resume(batch_id)
            assert not await tx.batches.resume(batch_id)
            assert not await tx.batches.start(batch_id)
            assert await status_of(tx, batch_id) == "running"
        assert (await tx.batches.get(batch_id)).batch.started_at is not None


@pytest.mark.parametrize("target", [BatchStatus.FAILED, BatchStatus.CANCELLED])
async def test_a_batch_that_stops_moves_no_more(database: Database, target: BatchStatus) -> None:
    """It stops once, for one reason, and ends as was said then."""
    error = {"type": "unexpected", "message": "so"}
    async with database.transaction() as tx:
        batch_id = await a_running_batch(tx)
        assert await tx.batches.find_stopping(batch_id) is None
        assert await tx.batches.stop(batch_id, target, error)
        assert await tx.batches.find_stopping(batch_id) == target
        for other in (BatchStatus.FAILED, BatchStatus.CANCELLED):
            assert not await tx.batches.stop(batch_id, other)
        assert not await tx.batches.pause(batch_id)
        read = await tx.batches.get(batch_id)
        assert (read.batch.status, read.batch.stopping, read.batch.error) == (
            "running",
            target,
            error,
        )
        assert await tx.batches.close(batch_id, P)
        read = await tx.batches.get(batch_id)
        assert (read.batch.status, read.batch.percentiles) == (target, P)


@pytest.mark.parametrize("target", FINAL)
async def test_an_ended_batch_stays_as_it_ended(database: Database, target: BatchStatus) -> None:
    """No move leads away, and it is closed once."""
    async with database.transaction() as tx:
        batch_id = await a_batch(tx)
        if target is not BatchStatus.COMPLETED:
            assert await tx.batches.stop(batch_id, target)
        assert await tx.batches.close(batch_id, P)
        before = (await tx.batches.get(batch_id)).batch.finished_at
        assert not await tx.batches.close(batch_id, P)
        assert not await tx.batches.stop(batch_id, BatchStatus.CANCELLED)
        for move in (tx.batches.start, tx.batches.pause, tx.batches.resume):
            assert not await move(batch_id)
        read = await tx.batches.get(batch_id)
    assert (read.batch.status, read.batch.finished_at) == (target, before)
    assert read.batch.started_at is not None


async def test_a_lane_hands_out_items_while_somebody_stops_its_batch(database: Database) -> None:
    """Neither waits for the other for ever: who stops a batch holds the lane first."""
    async with database.transaction() as tx:
        batch_id = await a_running_batch(tx)
        lane = await a_lane(tx, batch_id)

    async def stopped() -> bool:
        async with database.transaction() as tx:
            return await tx.batches.stop(batch_id, BatchStatus.CANCELLED)

    async with database.transaction() as tx:
        await tx.lanes.fence(lane)
        stopping = asyncio.create_task(stopped())
        await until_held_up(database)
        assert len(await tx.lanes.claim(lane, 2) or ()) == 2
    assert await stopping


async def test_a_lane_stops_its_batch_while_somebody_resumes_it(database: Database) -> None:
    """Who is second finds that the batch is about to end."""
    async with database.transaction() as tx:
        batch_id = await a_running_batch(tx, shares=(1, 1))
        lane = await a_lane(tx, batch_id, 1)
        await tx.batches.pause(batch_id)

    async def resumed() -> bool:
        async with database.transaction() as tx:
            return await tx.batches.resume(batch_id)

    async with database.transaction() as tx:
        await tx.lanes.fence(lane)
        resuming = asyncio.create_task(resumed())
        await until_held_up(database)
        assert await tx.batches.stop(batch_id, BatchStatus.FAILED)
    assert not await resuming


async def test_batches_are_listed_newest_first(database: Database) -> None:
    """All of them, or those of a program or a status, in pages."""
    async with database.transaction() as tx:
        ids = [await a_batch(tx) for _ in range(3)]
        await tx.batches.pause(ids[1])
        program_id = (await tx.batches.get(ids[2])).batch.program_id
        first = await tx.batches.list_page(Page(2))
        rest = await tx.batches.list_page(Page(2, first.next_cursor))
        paused = await tx.batches.list_page(Page(), status=BatchStatus.PAUSED)
        its = await tx.batches.list_page(Page(), program_id=program_id)
    assert [one.id for one in [*first.items, *rest.items]] == ids[::-1]
    assert rest.next_cursor is None
    assert [one.id for one in paused.items] == [ids[1]]
    assert [one.id for one in its.items] == [ids[2]]
    assert counts(its.items[0]) == [3, 0, 0, 0, 0]


async def test_what_others_cancel_is_counted_at_once(database: Database) -> None:
    """Whether the item had been handed out or not."""
    async with database.transaction() as tx:
        batch_id = await a_running_batch(tx, 3)
        await tx.batches.hold(batch_id)
        await tx.batches.count_cancelled(batch_id, was_pending=True)
        assert counts(await tx.batches.get(batch_id)) == [2, 0, 0, 0, 1]


async def test_the_sequence_rises_with_every_change(database: Database) -> None:
    """Of the counts and of the status, and with nothing else."""
    async with database.transaction() as tx:
        batch_id = await a_batch(tx, 2)
        sequences = list[int]()

        async def note() -> None:
            sequences.append((await tx.batches.get(batch_id)).sequence)

        await note()
        await tx.batches.start(batch_id)
        await note()
        lane = await a_lane(tx, batch_id)
        items = await tx.lanes.claim(lane, 1)
        assert items
        await note()
        await tx.lanes.finish(lane, [item_ending(items[0])])
        await note()
        for move in (tx.batches.pause, tx.batches.resume):
            assert await move(batch_id)
            await note()
        assert await tx.batches.stop(batch_id, BatchStatus.CANCELLED)
        await note()
        await tx.batch_items.cancel_slice(batch_id, {})
        await note()
        assert await tx.batches.close(batch_id, P)
        await note()
    assert sequences == sorted(set(sequences))
    async with database.transaction() as tx:
        assert not await tx.batches.close(batch_id, P)
        assert (await tx.batches.get(batch_id)).sequence == sequences[-1]
