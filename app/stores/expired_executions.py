"""The rows of `executions` that need not be kept any more, week by week."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.weeks import Week
from app.stores.execution_slices import ExecutionSlices, after
from app.stores.removals import Removed
from app.stores.retention import EXPIRED_EXECUTION, Expiry

# The range of ids keeps a statement within its week's partition.
_COUNT = text(f"""
SELECT count(*) FROM executions e
WHERE e.id >= :low AND e.id < :high AND {EXPIRED_EXECUTION}
""")  # noqa: S608 - our own text
_EXPIRED = ExecutionSlices(EXPIRED_EXECUTION)


class ExpiredExecutionStore:
    """Counts and deletes expired executions within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def count(self, expiry: Expiry, week: Week) -> int:
        """Count those of a week."""
        return int((await self._session.scalars(_COUNT, _bound(expiry, week))).one())

    async def list_ids(self, expiry: Expiry, week: Week, last: UUID | None) -> Sequence[UUID]:
        """List the first of a week, or those after an id."""
        low, end = week.bounds
        within = after(last, low), UUID(int=end.int - 1)
        return await _EXPIRED.list_ids(self._session, within, expiry.bound)

    async def delete(self, expiry: Expiry, ids: Sequence[UUID]) -> Removed:
        """Delete those of a list that are there, and expired, and held by nobody."""
        return await _EXPIRED.remove(self._session, ids, expiry.bound)


def _bound(expiry: Expiry, week: Week) -> Mapping[str, Any]:
    low, high = week.bounds
    return {**expiry.bound, "low": low, "high": high}
