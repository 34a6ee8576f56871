"""The partitions of `executions`: made ahead, or when an id needs one."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.ids import made_at
from app.models.weeks import Week

WEEKS_AHEAD = 4
"""So many partitions are there for records to come."""

_LOCK = 4_027_431_001
_EXISTING = text(
    "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'executions'::regclass"
)


class PartitionStore:
    """Makes partitions within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def ensure(self, weeks_ahead: int) -> Sequence[str]:
        """Make the partitions of this week and of `weeks_ahead` more; name those that were new."""
        return await self._make(await self._this_week_and(weeks_ahead))

    async def list_missing(self, weeks_ahead: int) -> Sequence[Week]:
        """List the weeks whose partitions `ensure` would make."""
        return await self._missing(await self._this_week_and(weeks_ahead))

    async def ensure_for(self, ids: Iterable[UUID]) -> Sequence[str]:
        """Make the partitions in which these ids lie, of whatever time; name those that were new.

        OverflowError where an id lies beyond the calendar.
        """
        return await self._make(dict.fromkeys(Week.of(made_at(one)) for one in ids))

    async def _make(self, weeks: Iterable[Week]) -> Sequence[str]:
        """Make what is missing; of several processes at once, one does it."""
        await self._session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
        missing = await self._missing(weeks)
        for week in missing:
            await self._add(week)
        return [week.partition for week in missing]

    async def _missing(self, weeks: Iterable[Week]) -> Sequence[Week]:
        existing = set((await self._session.scalars(_EXISTING)).all())
        return [week for week in weeks if week.partition not in existing]

    async def _this_week_and(self, following: int) -> Iterable[Week]:
        now = (await self._session.scalars(select(func.now()))).one()
        return Week.of(now).and_following(following)

    async def _add(self, week: Week) -> None:
        """CREATE … PARTITION OF would lock the parent against reads; LIKE and ATTACH do not."""
        low, high = week.bounds
        create = f"CREATE TABLE {week.partition} (LIKE executions INCLUDING ALL)"
        attach = (
            f"ALTER TABLE executions ATTACH PARTITION {week.partition}"
            f" FOR VALUES FROM ('{low}') TO ('{high}')"
        )
        await self._session.execute(text(create))
        await self._session.execute(text(attach))
