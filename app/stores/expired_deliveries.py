"""The rows of `webhook_deliveries` that need not be kept any more."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.states import DeliveryStatus
from app.settings import RetentionSettings
from app.stores.removals import Removed, removed

SLICE = 1_000
"""As many rows go in one statement."""

_FAILED = f"('{DeliveryStatus.FAILED}', '{DeliveryStatus.GONE}')"
_EXPIRED = f"""
FROM webhook_deliveries d JOIN batches b ON b.id = d.batch_id
WHERE b.finished_at IS NOT NULL AND d.finished_at < now() - make_interval(days => nullif(
    CASE WHEN d.status IN {_FAILED} THEN CAST(:failed_days AS int)
        ELSE CAST(:completed_days AS int) END, 0))
"""
_COUNT = text(f"SELECT count(*) {_EXPIRED}")
_DELETE = text(f"""
DELETE FROM webhook_deliveries AS gone WHERE id = ANY(ARRAY(
    SELECT d.id {_EXPIRED} ORDER BY d.id LIMIT {SLICE} FOR UPDATE OF d SKIP LOCKED
))
RETURNING pg_column_size(gone)
""")  # noqa: S608 - our own text


class ExpiredDeliveryStore:
    """Counts and deletes expired deliveries within one transaction.

    Those that failed are kept as failed executions are, others as completed ones.
    """

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def count(self, days: RetentionSettings) -> int:
        """Count them."""
        return int((await self._session.scalars(_COUNT, days.model_dump())).one())

    async def delete_slice(self, days: RetentionSettings) -> Removed:
        """Delete some."""
        return removed(await self._session.scalars(_DELETE, days.model_dump()))
