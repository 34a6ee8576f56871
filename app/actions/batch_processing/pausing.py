"""Pause a batch, and resume it."""

from uuid import UUID

from app.database import Database
from app.errors import InvalidTransitionError
from app.stores.batches import BatchReading


class BatchPausing:
    """Has no more items handed out, from the moment that it answers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self, batch_id: UUID) -> BatchReading:
        """Pause; raises BatchNotFoundError and InvalidTransitionError."""
        async with self._database.transaction() as tx:
            has_moved = await tx.batches.pause(batch_id)
            read = await tx.batches.get(batch_id)
        if not has_moved:
            raise refusal_of(read)
        return read


class BatchResuming:
    """Has the items of a paused batch handed out again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self, batch_id: UUID) -> BatchReading:
        """Resume; raises BatchNotFoundError and InvalidTransitionError."""
        async with self._database.transaction() as tx:
            has_moved = await tx.batches.resume(batch_id)
            read = await tx.batches.get(batch_id)
        if not has_moved:
            raise refusal_of(read)
        return read


def refusal_of(read: BatchReading) -> InvalidTransitionError:
    """Say why a batch does not move."""
    batch = read.batch
    if batch.stopping is not None and batch.finished_at is None:
        return InvalidTransitionError(f"The batch is about to be {batch.stopping}.")
    return InvalidTransitionError(f"The batch is {batch.status}.")
