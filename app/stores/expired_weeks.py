"""Partitions of `executions` all of whose records have expired: they are dropped, not emptied.

A partition is marked before it is detached: a marked table that is not a partition any more is
what somebody died over, and one without the mark is somebody else's, whatever its name.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.weeks import Week
from app.stores.retention import EXPIRED_BATCH, EXPIRED_EXECUTION, Expiry

LOCK_TIMEOUT_MS = 100
"""How long a lock is waited for that others would wait behind."""

MARK = "dspatch: all of its records have expired"
"""The comment on a partition that is to be dropped."""

BARE = "dspatch: none of its records has a payload"
"""The comment on a partition in which nobody looks for payloads any more."""

_LOCK = 4_027_431_005
_NOT_AVAILABLE = "55P03"

_LIST = text(f"""
SELECT c.relname AS name, i.inhrelid IS NOT NULL AS is_attached,
    coalesce(i.inhdetachpending, false) AS is_pending,
    coalesce(obj_description(c.oid, 'pg_class') = '{MARK}', false) AS is_marked
FROM pg_class c JOIN pg_class parent ON parent.oid = CAST('executions' AS regclass)
LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND i.inhparent = parent.oid
WHERE c.relkind = 'r' AND c.relnamespace = parent.relnamespace
    AND (i.inhrelid IS NOT NULL OR obj_description(c.oid, 'pg_class') = '{MARK}')
ORDER BY c.relname
""")  # noqa: S608 - our own text
_IS_NEEDED = text(f"""
SELECT EXISTS (
    SELECT FROM executions e WHERE e.id >= :low AND e.id < :high
    AND {EXPIRED_EXECUTION} IS NOT TRUE
    AND (e.finished_at IS NULL OR e.batch_id IS NULL OR e.batch_id NOT IN (
        SELECT b.id FROM batches b WHERE {EXPIRED_BATCH}
    ))
)
""")  # noqa: S608 - our own text


class LockedError(Exception):
    """Somebody works on the table just now: try again."""


@dataclass(frozen=True)
class Partition:
    """A table of a week: a partition, one that is on its way out, or one that was."""

    name: str
    is_attached: bool
    is_pending: bool
    is_marked: bool

    @property
    def is_whole(self) -> bool:
        """Whether it is a partition, and nobody takes it out."""
        return self.is_attached and not self.is_pending


class ExpiredWeekStore:
    """Finds and drops partitions; what drops them needs `Database.autocommit`."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def list_partitions(self) -> Sequence[Partition]:
        """List the partitions, and what was one until it was to be dropped."""
        rows = (await self._session.execute(_LIST)).mappings()
        return [Partition(**row) for row in rows]

    async def is_needed(self, expiry: Expiry, week: Week) -> bool:
        """Tell whether a week has a record that is live, or that is to be kept."""
        low, high = week.bounds
        bound = {**expiry.bound, "low": low, "high": high}
        return bool((await self._session.scalars(_IS_NEEDED, bound)).one())

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[bool]:
        """Tell whether nobody else drops partitions, and keep others from it until the end.

        Locks are waited for LOCK_TIMEOUT_MS meanwhile.
        """
        await self._run(f"SET lock_timeout = {LOCK_TIMEOUT_MS}")
        is_alone = (
            await self._session.scalars(text(f"SELECT pg_try_advisory_lock({_LOCK})"))
        ).one()
        try:
            yield bool(is_alone)
        finally:
            if is_alone:
                await self._run(f"SELECT pg_advisory_unlock({_LOCK})")
            await self._run("RESET lock_timeout")

    async def finish_detaching(self, partition: Partition) -> None:
        """Take out what somebody began to take out; LockedError."""
        await self._run(f"ALTER TABLE executions DETACH PARTITION {partition.name} FINALIZE")

    async def detach(self, partition: Partition) -> None:
        """Mark a partition and take it out, while others go on reading and writing; LockedError."""
        await self._run(f"COMMENT ON TABLE {partition.name} IS '{MARK}'")
        await self._run(f"ALTER TABLE executions DETACH PARTITION {partition.name} CONCURRENTLY")

    async def unmark(self, partition: Partition) -> None:
        """Take the mark from a partition that stays; LockedError."""
        await self._run(f"COMMENT ON TABLE {partition.name} IS NULL")

    async def mark_bare(self, week: Week) -> None:
        """Mark a partition unless it is to be dropped, within a transaction; LockedError."""
        await self._run(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
        await self._run(f"LOCK TABLE {week.partition} IN SHARE UPDATE EXCLUSIVE MODE")
        leaving = {one.name for one in await self.list_partitions() if one.is_marked}
        if week.partition not in leaving:
            await self._run(f"COMMENT ON TABLE {week.partition} IS '{BARE}'")

    async def drop(self, partition: Partition) -> int:
        """Drop what has been taken out, and give its bytes; LockedError."""
        size = text(f"SELECT pg_total_relation_size('{partition.name}'::regclass)")
        freed = (await self._session.scalars(size)).one()
        await self._run(f"DROP TABLE {partition.name}")
        return int(freed)

    async def _run(self, statement: str) -> None:
        try:
            await self._session.execute(text(statement))
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _NOT_AVAILABLE:
                raise
            raise LockedError(statement) from None
