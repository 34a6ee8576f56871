"""The rows of `executions` that need not be kept any more, week by week."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.weeks import Week
from app.stores.removals import Removed, removed
from app.stores.retention import EXPIRED_EXECUTION, Expiry

SLICE = 1_000
"""As many rows go in one statement."""

# The range of ids keeps a statement within its week's partition.
_COUNT = text(f"""
SELECT count(*) FROM executions e
WHERE e.id >= :low AND e.id < :high AND {EXPIRED_EXECUTION}
""")  # noqa: S608 - our own text
_DELETE = text(f"""
WITH expired AS MATERIALIZED (
    SELECT e.id FROM executions e
    WHERE e.id >= :low AND e.id < :high AND {EXPIRED_EXECUTION}
    ORDER BY e.id LIMIT {SLICE} FOR UPDATE SKIP LOCKED
)
DELETE FROM executions e
WHERE e.id = ANY(ARRAY(SELECT id FROM expired)) AND e.id >= :low AND e.id < :high
RETURNING e.id, pg_column_size(e)
""")  # noqa: S608 - our own text


@dataclass(frozen=True)
class RemovedSlice:
    """What a statement removed, and the id up to which there is no more; None at the end."""

    removed: Removed
    last: UUID | None


class ExpiredExecutionStore:
    """Counts and deletes expired executions within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def count(self, expiry: Expiry, week: Week) -> int:
        """Count those of a week."""
        return int((await self._session.scalars(_COUNT, _bound(expiry, week))).one())

    async def delete_slice(
        self, expiry: Expiry, week: Week, after: UUID | None = None
    ) -> RemovedSlice:
        """Delete the first of a week, or those after an id."""
        bound = dict(_bound(expiry, week))
        if after is not None:
            bound["low"] = UUID(int=after.int + 1)
        rows = (await self._session.execute(_DELETE, bound)).all()
        last = max(row[0] for row in rows) if len(rows) == SLICE else None
        return RemovedSlice(removed(row[1] for row in rows), last)


def _bound(expiry: Expiry, week: Week) -> Mapping[str, Any]:
    low, high = week.bounds
    return {**expiry.bound, "low": low, "high": high}
