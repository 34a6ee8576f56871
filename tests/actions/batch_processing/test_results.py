"""What has ended is found wherever it stands in a large batch."""

from typing import Any
from uuid import UUID

import pytest

from app.actions.batch_processing.asking import BatchAcceptanceInput, listed
from app.actions.batch_processing.results import (
    REACH,
    SLICE,
    BatchResulting,
    BatchResultStreaming,
)
from app.actions.batch_processing.validation import Incoming, OnInvalid
from app.database import Database
from app.errors import BatchNotFoundError
from app.stores.batch_items import EVERY, MOST_BYTES, ItemFilter
from app.stores.pages import Page
from tests.support.adapters import ScriptedAdapter
from tests.support.batches import an_acceptance, questions, wanted
from tests.support.factories import a_program, new_ids


async def test_a_few_ended_items_are_found_among_many(database: Database) -> None:
    """Before, at and behind the places at which one statement ends and the next begins."""
    program, ended = await a_program(database), [0, REACH - 1, REACH, REACH + 1]
    inputs = questions(REACH + 3)
    for index in ended:
        inputs[index] = {}
    accept = an_acceptance(database, ScriptedAdapter())
    batch = await accept(wanted(program, inputs, on_invalid=OnInvalid.RECORD))
    slices = [rows async for rows in await BatchResultStreaming(database)(batch.id, EVERY)]
    assert [[row.item_index for row in rows] for rows in slices] == [ended[:2], ended[2:]]


async def test_of_a_rest_the_old_indexes_count(database: Database) -> None:
    """They are not the places of its items."""
    program = await a_program(database)
    items = listed([Incoming(7, None, {}, "/0"), Incoming(9, None, {}, "/1")])
    rest = BatchAcceptanceInput(
        program.id, items, on_invalid=OnInvalid.RECORD, retry_of=new_ids().new()
    )
    batch = await an_acceptance(database, ScriptedAdapter())(rest)
    slices = await BatchResultStreaming(database)(batch.id, ItemFilter(from_index=8))
    assert [row.item_index async for rows in slices for row in rows] == [9]


async def a_batch_of(database: Database, inputs: list[Any]) -> UUID:
    """Have items recorded that have failed, with inputs that fit nothing."""
    asked = wanted(await a_program(database), inputs, on_invalid=OnInvalid.RECORD)
    return (await an_acceptance(database, ScriptedAdapter())(asked)).id


async def test_large_results_come_few_at_a_time(database: Database) -> None:
    """Without what makes them large they do not; a page says that there is more."""
    each = {"unknown": "a" * (MOST_BYTES // 3)}
    batch_id = await a_batch_of(database, [each] * 6)
    for parts, sizes in (({"inputs"}, [3, 3]), (set[str](), [6])):
        slices = await BatchResultStreaming(database)(batch_id, EVERY, parts)
        assert [len(rows) async for rows in slices] == sizes
    found, cursor = list[int | None](), None
    for _ in range(2):
        page = await BatchResulting(database)(batch_id, Page(50, cursor), EVERY, {"inputs"})
        found += [row.item_index for row in page.items]
        cursor = page.next_cursor
    assert (found, cursor) == (list(range(6)), None)


async def test_a_result_larger_than_any_page_comes_alone(database: Database) -> None:
    """Or the stream would never go on."""
    large = {"unknown": "a" * MOST_BYTES}
    batch_id = await a_batch_of(database, [large, {}, large])
    slices = await BatchResultStreaming(database)(batch_id, EVERY, {"inputs"})
    assert [[row.item_index for row in rows] async for rows in slices] == [[0], [1, 2]]


async def test_what_was_removed_amid_a_stream_is_not_passed_over(database: Database) -> None:
    """A stream that lacks something must not end as if it were whole."""
    batch_id = await a_batch_of(database, [{}] * (SLICE + 1))
    slices = await BatchResultStreaming(database)(batch_id, EVERY)
    seen = len(await anext(aiter(slices)))
    async with database.transaction() as tx:
        assert await tx.batch_items.delete_slice(batch_id)
    with pytest.raises(BatchNotFoundError, match="removed"):
        seen += sum([len(rows) async for rows in slices])
    assert seen == SLICE


async def test_of_no_batch_there_are_no_results(database: Database) -> None:
    """That is said before anything of a stream."""
    with pytest.raises(BatchNotFoundError):
        await BatchResultStreaming(database)(new_ids().new(), EVERY)
