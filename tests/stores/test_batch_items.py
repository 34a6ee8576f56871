from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.database import Database
from app.models.ids import item_id, place_of
from app.models.states import ExecutionStatus, Outcome
from app.stores.batch_items import ItemFilter, NewItem, row_of
from app.stores.executions import ExecutionFilter
from app.stores.pages import Page
from app.stores.transaction import Transaction
from tests.stores.rows import (
    IDS,
    a_batch,
    a_lane,
    a_running_batch,
    item_ending,
    of_items,
)
from tests.stores.test_batches import counts

ERROR = {"type": "cancelled", "message": "so"}


async def ended(tx: Transaction, batch_id: UUID, **wanted: Any) -> list[int]:
    """List the indexes of items that have ended."""
    found = await tx.batch_items.list_ended(batch_id, Page(100), ItemFilter(**wanted))
    return [item.item_index or 0 for item in found.items]


async def counted(tx: Transaction) -> int:
    """Sum up what is counted and not folded."""
    query = text("SELECT coalesce(sum(ended), 0) FROM execution_counts")
    return int((await tx.executions._session.scalars(query)).one())


async def test_items_are_executions_that_wait(database: Database) -> None:
    """With the batch's id, index and name of their own, and ids in the order of their places."""
    async with database.transaction() as tx:
        batch_id = await a_batch(tx, 3)
        found = await tx.executions.list_page(Page(), ExecutionFilter(batch_id=batch_id))
        assert await counted(tx) == 0
    items = found.items[::-1]
    assert [item.id for item in items] == [item_id(batch_id, place) for place in range(3)]
    assert [item.item_index for item in items] == [0, 1, 2]
    assert [item.custom_id for item in items] == ["item 0", "item 1", "item 2"]
    assert {(item.status, item.outcome, item.finished_at) for item in items} == {
        ("pending", None, None)
    }
    assert items[2].inputs == {"question": "2"}
    assert (items[0].attempts, items[0].execution_options) == ([], {})


async def test_values_come_back_as_they_went_in(database: Database) -> None:
    """Also those that PostgreSQL cannot turn into text."""
    batch_id, inputs = IDS.new(), {"a": "\x00\ud800", "b": [1e23, 1, 1.0]}
    async with database.transaction() as tx:
        await tx.batch_items.add(of_items(batch_id), 7, [row_of(NewItem(3, None, inputs))])
        found = await tx.executions.get(item_id(batch_id, 7))
    assert repr(found.inputs) == repr(inputs)
    assert (found.item_index, found.custom_id, place_of(found.id)) == (3, None, 7)


async def test_a_place_is_recorded_once(database: Database) -> None:
    """The primary key itself forbids a second record of an item."""
    batch_id = IDS.new()
    async with database.transaction() as tx:
        await tx.batch_items.add(of_items(batch_id), 0, [row_of(NewItem(0, None, {}))])
    with pytest.raises(Exception, match="duplicate key"):
        async with database.transaction() as tx:
            await tx.batch_items.add(of_items(batch_id), 0, [row_of(NewItem(0, None, {}))])


async def test_invalid_items_come_in_as_failed(database: Database) -> None:
    """They have ended when they come, are counted, and keep their inputs and their error."""
    async with database.transaction() as tx:
        batch_id = await a_batch(tx, 4, invalid=(1, 2))
        found = (await tx.batch_items.list_ended(batch_id, Page(10))).items
        assert await counted(tx) == 2
    assert [item.item_index for item in found] == [1, 2]
    (one, _) = found
    assert (one.status, one.outcome) == ("failed", "validation_error")
    assert (one.error, one.duration_ms, one.inputs) == ({"n": 1}, 0.0, {"question": "1"})
    assert one.finished_at == one.created_at


async def test_the_rest_is_cancelled_in_slices(database: Database) -> None:
    """The cursor moves on; what runs or has ended stays as it is, and the counts add up."""
    async with database.transaction() as tx:
        batch_id = await a_running_batch(tx, 7, invalid=(3,))
        lane = await a_lane(tx, batch_id)
        items = await tx.lanes.claim(lane, 2)
        assert items
        await tx.lanes.finish(lane, [item_ending(items[0])])
        before = await counted(tx)
        seen = []
        for cancelled in ((2, "program", "mock"), (2, "program", "mock"), None):
            assert await tx.batch_items.cancel_slice(batch_id, ERROR, 3) == cancelled
            seen.append(counts(await tx.batches.get(batch_id)))
        assert await counted(tx) == before + 4
        found = (await tx.batch_items.list_ended(batch_id, Page(), ItemFilter(from_index=2))).items
    assert seen == [[2, 1, 1, 1, 2], [0, 1, 1, 1, 4], [0, 1, 1, 1, 4]]
    assert [item.status for item in found] == ["cancelled", "failed", *["cancelled"] * 3]
    assert (found[0].outcome, found[0].error, found[0].duration_ms) == ("cancelled", ERROR, 0.0)


async def test_ended_items_are_listed_in_order(database: Database) -> None:
    """All, or those of a status, an outcome, from an index or from an id on, as many as asked."""
    async with database.transaction() as tx:
        batch_id = await a_running_batch(tx, 6, invalid=(1,))
        lane = await a_lane(tx, batch_id)
        items = await tx.lanes.claim(lane, 5)
        assert items
        timeout = item_ending(items[1], ExecutionStatus.FAILED, outcome=Outcome.TIMEOUT)
        await tx.lanes.finish(lane, [item_ending(items[2]), item_ending(items[0]), timeout])
        assert await ended(tx, batch_id) == [0, 1, 2, 3]
        assert await ended(tx, batch_id, from_index=2) == [2, 3]
        assert await ended(tx, batch_id, from_place=3) == [3]
        assert await ended(tx, batch_id, status=ExecutionStatus.FAILED) == [1, 2]
        assert await ended(tx, batch_id, outcome=Outcome.TIMEOUT) == [2]
        assert await ended(tx, IDS.new()) == []
        first = await tx.batch_items.list_ended(batch_id, Page(3))
        rest = await tx.batch_items.list_ended(batch_id, Page(3, first.next_cursor))
        assert [item.item_index for item in [*first.items, *rest.items]] == [0, 1, 2, 3]
        assert rest.next_cursor is None


async def test_what_did_not_complete_is_listed_in_order(database: Database) -> None:
    """Failed and cancelled items, from behind an item."""
    async with database.transaction() as tx:
        batch_id = await a_running_batch(tx, 5, invalid=(1,))
        lane = await a_lane(tx, batch_id)
        items = await tx.lanes.claim(lane, 3)
        assert items
        failed = item_ending(items[1], ExecutionStatus.FAILED)
        await tx.lanes.finish(lane, [item_ending(items[0]), failed])
        await tx.batch_items.cancel_slice(batch_id, ERROR)
        found = await tx.batch_items.list_unfinished(batch_id, None, 3)
        rest = await tx.batch_items.list_unfinished(batch_id, found[-1].id, 3)
    assert [item.item_index for item in found] == [1, 2, 3]
    assert [item.item_index for item in rest] == [4]


async def test_percentiles_are_of_the_durations(database: Database) -> None:
    """Of the items of one batch that have ended; none where there are none."""
    async with database.transaction() as tx:
        batch_id = await a_running_batch(tx, 101)
        await a_batch(tx, 2, invalid=(0, 1))
        assert set((await tx.batch_items.percentiles(batch_id)).values()) == {None}
        lane = await a_lane(tx, batch_id)
        items = await tx.lanes.claim(lane, 101)
        assert items
        ends = [
            {**item_ending(item), "duration_ms": float(number)} for number, item in enumerate(items)
        ]
        await tx.lanes.finish(lane, ends)
        found = await tx.batch_items.percentiles(batch_id)
    assert found == {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0}


async def test_items_without_a_batch_can_be_removed(database: Database) -> None:
    """Those of one batch and no others, slice by slice."""
    batch_id = IDS.new()
    async with database.transaction() as tx:
        await tx.batch_items.add(of_items(batch_id), 0, [row_of(NewItem(0, None, {}))] * 3)
        other = await a_batch(tx, 2)
        assert await tx.batch_items.delete_slice(batch_id, 2)
        assert await tx.batch_items.delete_slice(batch_id, 2)
        assert not await tx.batch_items.delete_slice(batch_id, 2)
        left = await tx.executions.list_page(Page(), ExecutionFilter())
    assert {row.batch_id for row in left.items} == {other}
