"""A batch is taken in whole or not at all, however large it is and whoever is quicker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest

from app.actions.batch_processing.asking import BatchAcceptanceInput, listed
from app.actions.batch_processing.validation import Incoming, OnInvalid
from app.checkpoints import Checkpoint
from app.database import Database
from app.errors import DatabaseUnavailableError, InvalidInputsError, ProgramNotReadyError
from app.models.idempotency_keys import Claim
from app.models.states import ProgramStatus
from app.processes.uploads import AbandonedUploads
from app.stores.batch_items import SLICE
from app.stores.executions import ExecutionFilter
from app.stores.idempotency_keys import KeyChangedError
from app.stores.pages import Page
from app.stores.transaction import Transaction
from tests.stores.rows import a_process
from tests.stores.test_batches import counts
from tests.support.adapters import ScriptedAdapter
from tests.support.batches import an_acceptance, questions, reading, wanted
from tests.support.factories import a_program
from tests.support.holds import disk_full

CLAIM = Claim(b"key", b"request")


async def left(database: Database) -> tuple[int, int]:
    """Count the records, and the uploads."""
    async with database.transaction() as tx:
        records = await tx.executions.list_page(Page(1), ExecutionFilter())
        return len(records.items), len(await tx.batch_uploads.list_all())


async def test_a_batch_of_many_slices_is_there_when_all_of_it_is(database: Database) -> None:
    """Before that nobody finds it; afterwards nothing tells of the upload."""
    program, seen = await a_program(database), list[tuple[int, int]]()

    async def look() -> None:
        async with database.transaction() as tx:
            batches = (await tx.batches.list_page(Page())).items
            seen.append((len(batches), len(await tx.batch_uploads.list_all())))

    def reached(checkpoint: Checkpoint) -> None:
        if checkpoint is Checkpoint.BATCH_ACCEPTING:
            looking.append(asyncio.ensure_future(look()))

    looking = list[asyncio.Future[None]]()
    accept = an_acceptance(database, ScriptedAdapter(), reached=reached)
    read = await accept(wanted(program, questions(2 * SLICE + 5), max_concurrency=200))
    await asyncio.gather(*looking)
    assert counts(read) == [2 * SLICE + 5, 0, 0, 0, 0]
    assert len(seen) == 2
    assert set(seen) <= {(0, 1), (1, 0)}
    assert await left(database) == (1, 0)
    async with database.transaction() as tx:
        assert await tx.lanes.list_numbers(read.id) == [0, 1, 2, 3]


@pytest.mark.parametrize("failing", [Checkpoint.BATCH_ACCEPTING, None])
async def test_what_came_in_of_a_batch_that_fails_is_removed(
    database: Database, failing: Checkpoint | None
) -> None:
    """In the middle, or at its end since another request has taken its key."""
    program = await a_program(database)

    def reached(checkpoint: Checkpoint) -> None:
        if checkpoint is failing:
            raise DatabaseUnavailableError("away")

    if failing is None:
        async with database.transaction() as tx:
            await tx.idempotency_keys.claim(CLAIM, program.id)
    accept = an_acceptance(database, ScriptedAdapter(), reached=reached)
    asked = wanted(program, questions(SLICE + 1), claim=CLAIM)
    with pytest.raises(DatabaseUnavailableError if failing else KeyChangedError):
        await accept(asked)
    assert await left(database) == (0, 0)


async def test_a_batch_of_one_slice_that_fails_leaves_nothing(database: Database) -> None:
    """Its items come in with the batch, or not at all."""
    program = await a_program(database)
    async with database.transaction() as tx:
        await tx.idempotency_keys.claim(CLAIM, program.id)
    with pytest.raises(KeyChangedError):
        await an_acceptance(database, ScriptedAdapter())(wanted(program, questions(2), claim=CLAIM))
    assert await left(database) == (0, 0)


async def test_what_cannot_be_removed_is_left_with_its_upload(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """It tells whose it was, for whoever cleans up."""
    program = await a_program(database)
    away = list[bool]()

    def reached(checkpoint: Checkpoint) -> None:
        if checkpoint is Checkpoint.BATCH_ACCEPTING:
            away.append(True)
            raise DatabaseUnavailableError("away")

    accept = an_acceptance(_Leaving(database, away), ScriptedAdapter(), reached=reached)  # type: ignore[arg-type]
    with pytest.raises(DatabaseUnavailableError):
        await accept(wanted(program, questions(SLICE + 1)))
    assert "is removed later" in caplog.text
    assert await left(database) == (1, 1)


class _Leaving:
    """A database that is away from some moment on."""

    def __init__(self, database: Database, away: list[bool]) -> None:
        self._database = database
        self._away = away

    def transaction(self) -> Any:
        if self._away:
            raise DatabaseUnavailableError("away")
        return self._database.transaction()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


async def test_others_have_their_turn_while_a_large_batch_is_validated(
    database: Database,
) -> None:
    """The event loop goes round many times."""
    program, rounds = await a_program(database), 0

    async def go_round() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            await asyncio.sleep(0)

    going = asyncio.create_task(go_round())
    accept = an_acceptance(database, ScriptedAdapter())
    with pytest.raises(InvalidInputsError) as refused:
        await accept(wanted(program, [{"question": "a"}] * 4_000 + [{}]))
    going.cancel()
    assert rounds > 15
    assert [fault.path for fault in refused.value.faults] == ["/batch_inputs/4000/question"]
    assert refused.value.members == {"error_count": 1}


async def test_items_keep_their_index_and_name(database: Database) -> None:
    """Where a batch is another's rest, whose faults stand elsewhere in the request."""
    program = await a_program(database)
    items = listed(
        [Incoming(7, "seven", {"question": "a"}, "/lines/0"), Incoming(9, "nine", {}, "/lines/1")]
    )
    accept = an_acceptance(database, ScriptedAdapter())
    asked = BatchAcceptanceInput(program.id, items, retry_of=program.id)
    with pytest.raises(InvalidInputsError) as refused:
        await accept(asked)
    assert [fault.path for fault in refused.value.faults] == ["/lines/1/question"]
    recorded = BatchAcceptanceInput(program.id, items, on_invalid=OnInvalid.RECORD)
    batch_id: UUID = (await accept(recorded)).id
    assert counts(await reading(database, batch_id)) == [1, 0, 0, 1, 0]
    async with database.transaction() as tx:
        found = await tx.executions.list_page(Page(), ExecutionFilter(batch_id=batch_id))
    assert {(one.item_index, one.custom_id) for one in found.items} == {(7, "seven"), (9, "nine")}


async def test_a_program_that_is_not_ready_takes_no_batch(database: Database) -> None:
    """In the words in which it refuses executions."""
    program = await a_program(database, status=ProgramStatus.ERROR, error="no such module")
    with pytest.raises(ProgramNotReadyError, match="is error: no such module"):
        await an_acceptance(database, ScriptedAdapter())(wanted(program, questions(1)))


async def test_a_database_without_room_takes_no_batch(
    database: Database, database_url: str
) -> None:
    """It is away for now, and nothing is left."""
    program = await a_program(database)
    async with disk_full(database_url):
        with pytest.raises(DatabaseUnavailableError):
            await an_acceptance(database, ScriptedAdapter())(wanted(program, questions(1)))
    assert await left(database) == (0, 0)


async def test_who_was_given_up_amid_an_upload_makes_no_batch(database: Database) -> None:
    """Another has taken the upload meanwhile, and removes what came in of it."""
    program = await a_program(database)
    async with database.transaction() as tx:
        other = await a_process(tx)
    taking = AbandonedUploads(database, lambda: other)
    accept = an_acceptance(_TakenOver(database, taking), ScriptedAdapter())  # type: ignore[arg-type]
    with pytest.raises(DatabaseUnavailableError, match="has not heard"):
        await accept(wanted(program, questions(SLICE + 1)))
    assert await left(database) == (0, 0)


class _TakenOver:
    """A database in which somebody takes over each upload as soon as there is one."""

    def __init__(self, database: Database, taking: AbandonedUploads) -> None:
        self._database = database
        self._taking = taking

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with self._database.transaction() as tx:
            yield tx
        await self._taking()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)
