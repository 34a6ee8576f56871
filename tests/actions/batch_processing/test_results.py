"""What has ended is found wherever it stands in a large batch."""

import pytest

from app.actions.batch_processing.asking import BatchAcceptanceInput, listed
from app.actions.batch_processing.results import REACH, BatchResultStreaming
from app.actions.batch_processing.validation import Incoming, OnInvalid
from app.database import Database
from app.errors import BatchNotFoundError
from app.stores.batch_items import EVERY, ItemFilter
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


async def test_of_no_batch_there_are_no_results(database: Database) -> None:
    """That is said before anything of a stream."""
    with pytest.raises(BatchNotFoundError):
        await BatchResultStreaming(database)(new_ids().new(), EVERY)
