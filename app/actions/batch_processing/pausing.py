"""Pause a batch, and resume it."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias
from uuid import UUID

from app.database import Database
from app.errors import InvalidTransitionError
from app.stores.batches import BatchReading, BatchStore

Move: TypeAlias = Callable[[BatchStore, UUID], Awaitable[bool]]
"""Moves a batch to another status; False where it does not stand so that it may."""


class BatchMoving:
    """Has the items of a batch handed out no more, or again, from the moment that it answers."""

    def __init__(self, database: Database, move: Move) -> None:
        self._database = database
        self._move = move

    async def __call__(self, batch_id: UUID) -> BatchReading:
        """Move it; raises BatchNotFoundError and InvalidTransitionError."""
        async with self._database.transaction() as tx:
            has_moved = await self._move(tx.batches, batch_id)
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
