"""Uploads that nobody goes on with: what came in of them is removed."""

import logging
from collections.abc import Callable
from uuid import UUID

from app.database import Database
from app.errors import DatabaseUnavailableError

logger = logging.getLogger(__name__)


class AbandonedUploads:
    """Removes the items of batches that do not come about: of failed uploads, and of dead owners'.

    Every process does it, each upload by one of them; what cannot be done now is done later.
    """

    def __init__(self, database: Database, owner_id: Callable[[], UUID]) -> None:
        self._database = database
        self._owner_id = owner_id
        self._left = dict[UUID, UUID]()

    async def __call__(self) -> int:
        """Remove what dead processes and earlier tries have left; give the number of batches."""
        async with self._database.transaction() as tx:
            owner_id = self._owner_id()
            taken = await tx.batch_uploads.take_abandoned(owner_id)
        if taken:
            logger.warning("removing what came in of batches: %s", ", ".join(map(str, taken)))
        self._left.update(dict.fromkeys(taken, owner_id))
        return sum([await self._remove(*one) for one in list(self._left.items())])

    async def add(self, batch_id: UUID, owner_id: UUID) -> None:
        """Remove what came in of a batch of this process: now, or when the database is back."""
        self._left[batch_id] = owner_id
        try:
            await self._remove(batch_id, owner_id)
        except DatabaseUnavailableError:
            logger.warning("what came in of batch %s is removed later", batch_id)

    async def _remove(self, batch_id: UUID, owner_id: UUID) -> bool:
        """Remove all; False where somebody else has, who may be of this process too."""
        is_removed: bool | None = None
        while is_removed is None:
            is_removed = await self._remove_slice(batch_id, owner_id)
        self._left.pop(batch_id, None)
        return is_removed

    async def _remove_slice(self, batch_id: UUID, owner_id: UUID) -> bool | None:
        """Remove some; True where it was the last, False where it is not this owner's any more."""
        async with self._database.transaction() as tx:
            if not await tx.batch_uploads.hold(batch_id, owner_id):
                return False
            if await tx.batch_items.delete_slice(batch_id):
                return None
            await tx.batch_uploads.end(batch_id)
            return True
