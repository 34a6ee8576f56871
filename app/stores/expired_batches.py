"""The rows of `batches` that need not be kept any more, and their items."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Batch, BatchLane
from app.models.ids import item_range
from app.stores.execution_slices import ExecutionSlices, after
from app.stores.removals import Removed, bytes_of, removed
from app.stores.retention import EXPIRED_BATCH, Expiry

_LIST = text(f"SELECT b.id FROM batches b WHERE {EXPIRED_BATCH} ORDER BY b.id")  # noqa: S608
_ENDED = ExecutionSlices("e.finished_at IS NOT NULL")
_HAS_ITEMS = text("SELECT EXISTS (SELECT FROM executions WHERE id BETWEEN :low AND :high)")


class ExpiredBatchStore:
    """Lists and deletes expired batches within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def list_ids(self, expiry: Expiry) -> Sequence[UUID]:
        """List the expired batches, the oldest first."""
        return (await self._session.scalars(_LIST, expiry.bound)).all()

    async def list_items(self, batch_id: UUID, last: UUID | None) -> Sequence[UUID]:
        """List the first of the ended items of a batch, or those after an id."""
        low, high = item_range(batch_id)
        return await _ENDED.list_ids(self._session, (after(last, low), high), {})

    async def delete_items(self, ids: Sequence[UUID]) -> Removed:
        """Delete those of a list that are there, and held by nobody."""
        return await _ENDED.remove(self._session, ids, {})

    async def delete(self, batch_id: UUID) -> Removed:
        """Delete a batch without items; nothing where it has some, or is gone."""
        low, high = item_range(batch_id)
        if (await self._session.scalars(_HAS_ITEMS, {"low": low, "high": high})).one():
            return Removed(0)
        await self._session.execute(delete(BatchLane).where(BatchLane.batch_id == batch_id))
        statement = delete(Batch).where(Batch.id == batch_id).returning(bytes_of(Batch))
        return removed(await self._session.scalars(statement))
