"""Cancel a batch: what runs is aborted, the rest ends without having run."""

from uuid import UUID

from app.actions.batch_processing.pausing import refusal_of
from app.database import Database
from app.models.states import BatchStatus
from app.stores.batches import BatchReading


class BatchCancellation:
    """Says that a batch is to end; its lanes see to it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self, batch_id: UUID) -> BatchReading:
        """Cancel; raises BatchNotFoundError, InvalidTransitionError where it has ended.

        One that is about to end already is left to that.
        """
        async with self._database.transaction() as tx:
            await tx.batches.stop(batch_id, BatchStatus.CANCELLED)
            read = await tx.batches.get(batch_id)
        if read.batch.finished_at is not None:
            raise refusal_of(read)
        return read
