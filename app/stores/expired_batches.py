"""The rows of `batches` that need not be kept any more, and their items."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Batch, BatchLane
from app.models.ids import item_range
from app.stores.removals import Removed, bytes_of, removed
from app.stores.retention import EXPIRED_BATCH, Expiry

SLICE = 1_000
"""As many items go in one statement."""

_LIST = text(f"SELECT b.id FROM batches b WHERE {EXPIRED_BATCH} ORDER BY b.id")  # noqa: S608
_DELETE_ITEMS = text(f"""
WITH items AS MATERIALIZED (
    SELECT id FROM executions
    WHERE id BETWEEN :low AND :high AND finished_at IS NOT NULL ORDER BY id LIMIT {SLICE}
)
DELETE FROM executions e
WHERE e.id = ANY(ARRAY(SELECT id FROM items)) AND e.id BETWEEN :low AND :high
RETURNING pg_column_size(e)
""")  # noqa: S608 - our own text
_HAS_ITEMS = text("SELECT EXISTS (SELECT FROM executions WHERE id BETWEEN :low AND :high)")


class ExpiredBatchStore:
    """Lists and deletes expired batches within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def list_ids(self, expiry: Expiry) -> Sequence[UUID]:
        """List the expired batches, the oldest first."""
        return (await self._session.scalars(_LIST, expiry.bound)).all()

    async def delete_items(self, batch_id: UUID) -> Removed:
        """Delete a slice of the ended items of a batch."""
        low, high = item_range(batch_id)
        return removed(await self._session.scalars(_DELETE_ITEMS, {"low": low, "high": high}))

    async def delete(self, batch_id: UUID) -> Removed:
        """Delete a batch without items; nothing where it has some, or is gone."""
        low, high = item_range(batch_id)
        if (await self._session.scalars(_HAS_ITEMS, {"low": low, "high": high})).one():
            return Removed(0)
        await self._session.execute(delete(BatchLane).where(BatchLane.batch_id == batch_id))
        statement = delete(Batch).where(Batch.id == batch_id).returning(bytes_of(Batch))
        return removed(await self._session.scalars(statement))
