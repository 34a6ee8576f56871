"""The rest of a batch is all of it, however much that is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import update

from app.actions.batch_processing.asking import BatchAcceptanceInput
from app.actions.batch_processing.intake import Intake
from app.actions.batch_processing.retrying import BatchRetrying, BatchRetryingInput
from app.actions.batch_processing.spool import Spool
from app.database import Database
from app.errors import NothingToRetryError
from app.models import Execution
from app.models.executions import PAYLOAD_EXPIRED
from app.stores.batch_items import SLICE, NewItem
from app.stores.batches import BatchReading
from tests.stores.rows import a_batch
from tests.support.batches import reading


async def test_the_rest_of_a_large_batch_is_read_in_slices(database: Database) -> None:
    """Each item once, in order, under its index and name."""
    asked = list[BatchAcceptanceInput]()

    @asynccontextmanager
    async def take_in(wanted: BatchAcceptanceInput) -> AsyncIterator[Intake]:
        asked.append(wanted)
        with Spool() as spool:
            spool.add(NewItem(0, None, {}))
            yield Intake(spool, None)

    async def store(_wanted: BatchAcceptanceInput, _intake: Intake) -> BatchReading:
        return await reading(database, batch_id)

    async with database.transaction() as tx:
        batch_id = await a_batch(tx, SLICE + 1, invalid=range(SLICE + 1))
        assert await tx.batches.close(batch_id, {})
    retry = BatchRetrying(database, take_in, store)  # type: ignore[arg-type]
    await retry(BatchRetryingInput(batch_id))
    (wanted,) = asked
    assert wanted.retry_of == batch_id
    items = [item async for item in wanted.items()]
    assert [item.index for item in items] == list(range(SLICE + 1))
    assert items[-1].custom_id == f"item {SLICE}"


async def test_items_whose_payload_has_expired_are_not_retried(database: Database) -> None:
    """It is refused: what they were asked is not known any more."""
    async with database.transaction() as tx:
        batch_id = await a_batch(tx, 1, invalid=[0])
        assert await tx.batches.close(batch_id, {})
        await tx.expired_payloads._session.execute(
            update(Execution).where(Execution.batch_id == batch_id).values(details=PAYLOAD_EXPIRED)
        )

    @asynccontextmanager
    async def take_in(wanted: BatchAcceptanceInput) -> AsyncIterator[Intake]:
        async for _ in wanted.items():
            pytest.fail("it has no item")
        yield Intake(Spool(), None)

    retry = BatchRetrying(database, take_in, None)  # type: ignore[arg-type]
    with pytest.raises(NothingToRetryError, match="not kept any more"):
        await retry(BatchRetryingInput(batch_id))
