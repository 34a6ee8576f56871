"""Records as lines of JSON, each with all columns of its row."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

LINES = 100
"""As many are read at once: a record may be large."""

_EXECUTIONS = text("""
SELECT row_to_json(e)::text FROM executions e
WHERE e.id = ANY(CAST(:ids AS uuid[])) AND e.id BETWEEN :low AND :high ORDER BY e.id
""")
_BATCH = text("""
SELECT row_to_json(r)::text FROM (
    SELECT b.*, (
        SELECT json_agg(l ORDER BY l.number) FROM batch_lanes l WHERE l.batch_id = b.id
    ) AS lanes
    FROM batches b WHERE b.id = :id
) r
""")


class RecordLineStore:
    """Reads records that are to be deleted, within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def list_executions(self, ids: Sequence[UUID]) -> Sequence[str]:
        """Read executions by their ids, which are in order."""
        bound = {"ids": ids, "low": ids[0], "high": ids[-1]}
        return (await self._session.scalars(_EXECUTIONS, bound)).all()

    async def list_of_week(self, partition: str, after: UUID) -> tuple[Sequence[str], UUID | None]:
        """Read the LINES executions of a week that follow an id, and give the last one's."""
        statement = text(
            f"SELECT e.id, row_to_json(e)::text FROM {partition} e"  # noqa: S608 - a week's name
            f" WHERE e.id > :after ORDER BY e.id LIMIT {LINES}"
        )
        rows = (await self._session.execute(statement, {"after": after})).all()
        return [row[1] for row in rows], rows[-1][0] if rows else None

    async def list_batches(self, batch_id: UUID) -> Sequence[str]:
        """Read a batch with its lanes; none where it is gone."""
        return (await self._session.scalars(_BATCH, {"id": batch_id})).all()
