"""What PostgreSQL knows of our tables: how stale its figures are, dead rows, idle indexes."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

# The parent has no rows of its own: it is as stale as its partitions were changed since.
_STALE = text("""
WITH tables AS (
    SELECT c.relname::text AS name, c.relkind = 'p' AS is_parent, s.n_live_tup AS live,
        s.n_mod_since_analyze AS changed, greatest(s.last_analyze, s.last_autoanalyze) AS looked_at
    FROM pg_class c JOIN pg_stat_user_tables s ON s.relid = c.oid
    WHERE c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'executions'::regclass)
), records AS (
    SELECT sum(s.n_live_tup) AS live, max(s.last_autoanalyze) AS looked_at
    FROM pg_inherits i JOIN pg_stat_user_tables s ON s.relid = i.inhrelid
    WHERE i.inhparent = 'executions'::regclass
)
SELECT t.name FROM tables t CROSS JOIN records r WHERE CASE
    WHEN t.is_parent THEN r.live > :rows AND (t.looked_at IS NULL OR t.looked_at < r.looked_at)
        AND coalesce(t.looked_at < now() - interval '1 day', true)
    ELSE t.changed > :rows AND t.changed > t.live / 5
END
ORDER BY t.name
""")
_BLOATED = text("""
SELECT relname::text FROM pg_stat_user_tables
WHERE n_dead_tup > 10 * :rows AND n_dead_tup > n_live_tup / 5 ORDER BY relname
""")
_IDLE_INDEXES = text("""
SELECT s.indexrelname::text FROM pg_stat_user_indexes s
JOIN pg_index i ON i.indexrelid = s.indexrelid
JOIN pg_stat_database d ON d.datname = current_database()
WHERE s.idx_scan = 0 AND NOT i.indisunique AND NOT EXISTS (
    SELECT FROM pg_inherits h WHERE h.inhrelid = s.indexrelid
)
    AND pg_relation_size(s.indexrelid) > :bytes
    AND coalesce(d.stats_reset < now() - interval '7 days', true)
ORDER BY s.indexrelname
""")

ROWS = 1_000
"""Fewer changed rows than this mislead nobody."""

INDEX_BYTES = 10_000_000
"""Smaller indexes cost nothing that anybody feels."""

LONGEST_S = 300
"""How long the figures of one table may take, whatever the limit of other statements."""

ANSWER_S = 10
"""How much longer the answer is waited for."""


class HousekeepingStore:
    """Reads PostgreSQL's statistics, and has it make them anew."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def list_stale(self) -> Sequence[str]:
        """Name the tables of which the planner's figures are off by a fifth, or a day old."""
        return (await self._session.scalars(_STALE, {"rows": ROWS})).all()

    async def list_bloated(self) -> Sequence[str]:
        """Name the tables a fifth of whose rows are dead."""
        return (await self._session.scalars(_BLOATED, {"rows": ROWS})).all()

    async def list_idle_indexes(self, larger_than: int = INDEX_BYTES) -> Sequence[str]:
        """Name the indexes of so many bytes by which nobody looks since PostgreSQL counts that.

        Where it has begun to count within a week, none is named.
        """
        return (await self._session.scalars(_IDLE_INDEXES, {"bytes": larger_than})).all()

    async def analyze(self, table: str) -> None:
        """Have the planner's figures of a table made anew.

        Of a year of weeks a smaller sample of each will do, and takes seconds instead of minutes;
        on a busy machine those are still more than another statement may take.
        """
        await self._session.execute(text("SET LOCAL default_statistics_target = 20"))
        await self._session.execute(text(f"SET LOCAL statement_timeout = '{LONGEST_S}s'"))
        connection = await (await self._session.connection()).get_raw_connection()
        link: Any = connection.driver_connection
        await link.execute(f"ANALYZE {table}", timeout=LONGEST_S + ANSWER_S)
