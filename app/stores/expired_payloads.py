"""What clients sent and models said, where it goes before its record: week by week."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.executions import PAYLOAD_EXPIRED
from app.models.weeks import Week
from app.stores.documents import dump_document
from app.stores.execution_slices import ExecutionSlices, after
from app.stores.expired_weeks import BARE, MARK
from app.stores.removals import Removed

(_MARK,) = PAYLOAD_EXPIRED
_BEFORE = "now() - make_interval(days => CAST(:days AS int))"
_HAS_PAYLOAD = f"(e.details->>'{_MARK}') IS NULL"

# The items of a batch lose theirs together, once all of it is as old: until then it is retried.
_EXPIRED = f"""({_HAS_PAYLOAD} AND e.finished_at < {_BEFORE} AND (
    e.batch_id IS NULL OR EXISTS (
        SELECT FROM batches b WHERE b.id = e.batch_id AND b.finished_at < {_BEFORE}
    )
))"""

# Within the statement the table is still as it was.
_FREED = """greatest(0, (
    SELECT pg_column_size(o) FROM executions o WHERE o.id = e.id AND o.id BETWEEN :low AND :high
) - pg_column_size(e))"""
_PAYLOADS = ExecutionSlices(
    _EXPIRED,
    "UPDATE executions e SET inputs = 'null', outputs = NULL, raw_output = NULL, trace = NULL,"
    " details = CAST(:details AS json)",
    _FREED,
)
_LIST = text(f"""
SELECT c.relname, {_BEFORE} AS before
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'executions'::regclass AND NOT i.inhdetachpending
    AND coalesce(obj_description(c.oid, 'pg_class'), '') NOT IN ('{BARE}', '{MARK}')
ORDER BY c.relname
""")  # noqa: S608 - our own text
_COUNT = text(f"""
SELECT count(*) FROM executions e WHERE e.id >= :low AND e.id < :high AND {_EXPIRED}
""")  # noqa: S608 - our own text
_IS_BARE = text(f"""
SELECT CAST(:end AS timestamptz) < {_BEFORE} AND NOT EXISTS (
    SELECT FROM executions e WHERE e.id >= :low AND e.id < :high AND {_HAS_PAYLOAD}
)
""")  # noqa: S608 - our own text


class ExpiredPayloadStore:
    """Counts and removes payloads that are older than some days, within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def list_weeks(self, days: int) -> Sequence[Week]:
        """List the weeks that began so long ago, without those that are marked as bare."""
        rows = (await self._session.execute(_LIST, {"days": days})).all()
        weeks = ((Week.named(row.relname), row.before) for row in rows)
        return [week for week, before in weeks if week is not None and week.monday < before]

    async def count(self, days: int, week: Week) -> int:
        """Count those of a week."""
        low, high = week.bounds
        bound = {"days": days, "low": low, "high": high}
        return int((await self._session.scalars(_COUNT, bound)).one())

    async def list_ids(self, days: int, week: Week, last: UUID | None) -> Sequence[UUID]:
        """List the first records of a week that have one to lose, or those after an id."""
        low, end = week.bounds
        within = after(last, low), UUID(int=end.int - 1)
        return await _PAYLOADS.list_ids(self._session, within, {"days": days})

    async def remove(self, days: int, ids: Sequence[UUID]) -> Removed:
        """Remove those of a list of records, but for what others hold just now."""
        bound: Mapping[str, Any] = {"days": days, "details": dump_document(PAYLOAD_EXPIRED)}
        return await _PAYLOADS.remove(self._session, ids, bound)

    async def is_bare(self, days: int, week: Week) -> bool:
        """Tell whether a week ended so long ago, and no record of it, live or not, has one."""
        low, high = week.bounds
        bound = {"days": days, "end": week.end, "low": low, "high": high}
        return bool((await self._session.scalars(_IS_BARE, bound)).one())
