"""Slices of the rows of `executions` that may go: listed in order of id, and deleted."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.stores.removals import Removed, removed

SLICE = 1_000
"""As many rows go in one statement."""


class ExecutionSlices:
    """Those for which a condition on `e` holds; their range of ids names the partitions."""

    def __init__(self, condition: str) -> None:
        where = f"e.id BETWEEN :low AND :high AND {condition}"
        self.listing = text(
            f"SELECT e.id FROM executions e WHERE {where} ORDER BY e.id LIMIT {SLICE}"  # noqa: S608
        )
        self.deletion = text(f"""
            WITH chosen AS MATERIALIZED (
                SELECT e.id FROM executions e
                WHERE e.id = ANY(CAST(:ids AS uuid[])) AND {where}
                ORDER BY e.id FOR UPDATE SKIP LOCKED
            )
            DELETE FROM executions e
            WHERE e.id = ANY(ARRAY(SELECT id FROM chosen)) AND e.id BETWEEN :low AND :high
            RETURNING pg_column_size(e)
        """)  # noqa: S608 - our own text

    async def list_ids(
        self, session: AsyncSession, within: tuple[UUID, UUID], bound: Mapping[str, Any]
    ) -> Sequence[UUID]:
        """List the first of those from one id to another."""
        low, high = within
        return (await session.scalars(self.listing, {**bound, "low": low, "high": high})).all()

    async def delete(
        self, session: AsyncSession, ids: Sequence[UUID], bound: Mapping[str, Any]
    ) -> Removed:
        """Delete those that were listed, but for what others hold just now."""
        values = {**bound, "ids": ids, "low": ids[0], "high": ids[-1]}
        return removed(await session.scalars(self.deletion, values))


def after(last: UUID | None, low: UUID) -> UUID:
    """Give the first id that is not listed yet."""
    return low if last is None else UUID(int=last.int + 1)
