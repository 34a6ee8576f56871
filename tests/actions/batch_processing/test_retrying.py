"""The rest of a batch is all of it, however much that is."""

from app.actions.batch_processing.acceptance import BatchAcceptanceInput
from app.actions.batch_processing.retrying import BatchRetrying, BatchRetryingInput
from app.database import Database
from app.stores.batch_items import SLICE
from app.stores.batches import BatchReading
from tests.stores.rows import a_batch
from tests.support.batches import reading


async def test_the_rest_of_a_large_batch_is_read_in_slices(database: Database) -> None:
    """Each item once, in order, under its index and name."""
    asked = list[BatchAcceptanceInput]()

    async def accept(wanted: BatchAcceptanceInput) -> BatchReading:
        asked.append(wanted)
        return await reading(database, batch_id)

    async with database.transaction() as tx:
        batch_id = await a_batch(tx, SLICE + 1, invalid=range(SLICE + 1))
        assert await tx.batches.close(batch_id, {})
    retry = BatchRetrying(database, accept)  # type: ignore[arg-type]
    await retry(BatchRetryingInput(batch_id))
    (wanted,) = asked
    assert wanted.retry_of == batch_id
    assert [item.index for item in wanted.items] == list(range(SLICE + 1))
    assert wanted.items[-1].custom_id == f"item {SLICE}"
