"""Slices of the rows of `executions` that may go, or lose something, in order of id."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.stores.removals import Removed, removed

SLICE = 1_000
"""As many rows go in one statement."""


class ExecutionSlices:
    """Those for which a condition on `e` holds; their range of ids names the partitions.

    They are deleted, or what else `remove` does to `e`, which frees so many bytes of a row.
    """

    def __init__(
        self,
        condition: str,
        remove: str = "DELETE FROM executions e",
        freed: str = "pg_column_size(e)",
    ) -> None:
        where = f"e.id BETWEEN :low AND :high AND {condition}"
        self.listing = text(
            f"SELECT e.id FROM executions e WHERE {where} ORDER BY e.id LIMIT {SLICE}"  # noqa: S608
        )
        self.removal = text(f"""
            WITH chosen AS MATERIALIZED (
                SELECT e.id FROM executions e
                WHERE e.id = ANY(CAST(:ids AS uuid[])) AND {where}
                ORDER BY e.id FOR UPDATE SKIP LOCKED
            )
            {remove}
            WHERE e.id = ANY(ARRAY(SELECT id FROM chosen)) AND e.id BETWEEN :low AND :high
            RETURNING {freed}
        """)  # noqa: S608 - our own text

    async def list_ids(
        self, session: AsyncSession, within: tuple[UUID, UUID], bound: Mapping[str, Any]
    ) -> Sequence[UUID]:
        """List the first of those from one id to another."""
        low, high = within
        return (await session.scalars(self.listing, {**bound, "low": low, "high": high})).all()

    async def remove(
        self, session: AsyncSession, ids: Sequence[UUID], bound: Mapping[str, Any]
    ) -> Removed:
        """Remove those that were listed, but for what others hold just now."""
        values = {**bound, "ids": ids, "low": ids[0], "high": ids[-1]}
        return removed(await session.scalars(self.removal, values))


def after(last: UUID | None, low: UUID) -> UUID:
    """Give the first id that is not listed yet."""
    return low if last is None else UUID(int=last.int + 1)
