"""The rows of `processes`; every time is the database's."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.models import Process
from app.stores.removals import Removed, bytes_of, removed


class ProcessStore:
    """Reads and writes processes within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, values: Mapping[str, Any]) -> None:
        """Add a process that lives from now on."""
        times = {"started_at": func.now(), "heartbeat_at": func.now()}
        await self._session.execute(insert(Process).values(**values, **times))

    async def beat(self, process_id: UUID) -> bool:
        """Say that a process lives; False where it was given up, and nothing is written then."""
        return await self._update(process_id, heartbeat_at=func.now())

    async def end(self, process_id: UUID) -> bool:
        """Say that a process has left; False where it was given up before."""
        return await self._update(process_id, ended_at=func.now())

    async def _update(self, process_id: UUID, **values: Any) -> bool:
        statement = (
            update(Process)
            .where(Process.id == process_id, Process.ended_at.is_(None))
            .values(**values)
            .returning(Process.id)
        )
        return (await self._session.scalars(statement)).one_or_none() is not None

    async def give_up_silent(self, by: UUID, silent_s: float, fresh_s: float) -> Sequence[UUID]:
        """End the processes that were silent for `silent_s`; list them.

        None, where the process that asks was itself not heard of within `fresh_s`: then it was
        the database that was silent, and the others have had no chance to beat either.
        """
        other = aliased(Process)
        asks = exists().where(
            other.id == by, other.ended_at.is_(None), other.heartbeat_at > ago(fresh_s)
        )
        statement = (
            update(Process)
            .where(Process.ended_at.is_(None), Process.heartbeat_at < ago(silent_s), asks)
            .values(ended_at=func.now())
            .returning(Process.id)
        )
        return (await self._session.scalars(statement)).all()

    async def tell_lm_children(self, process_id: UUID, children: Mapping[str, int]) -> None:
        """Say how many children of a process hold a program of each LM."""
        await self._update(process_id, lm_children=dict(children))

    async def list_lm_children(self, silent_s: float) -> Mapping[UUID, Mapping[str, int]]:
        """List what the processes said of their children that live, and were heard of since."""
        query = select(Process.id, Process.lm_children).where(
            Process.ended_at.is_(None), Process.heartbeat_at >= ago(silent_s)
        )
        return {row.id: row.lm_children for row in await self._session.execute(query)}

    async def count_live(self) -> int:
        """Count the processes that have not ended."""
        query = select(func.count()).select_from(Process).where(Process.ended_at.is_(None))
        return (await self._session.scalars(query)).one()

    async def list_ended(self) -> Mapping[UUID, datetime]:
        """List the processes that have ended, and when each began."""
        query = select(Process.id, Process.started_at).where(Process.ended_at.is_not(None))
        return {row.id: row.started_at for row in await self._session.execute(query)}

    async def count_ended(self, ended_s_ago: float = 0.0) -> int:
        """Count the processes that ended longer ago."""
        query = select(func.count()).where(_ended_before(ended_s_ago))
        return (await self._session.scalars(query)).one()

    async def delete_ended(self, ended_s_ago: float) -> Removed:
        """Forget the processes that ended longer ago."""
        statement = delete(Process).where(_ended_before(ended_s_ago))
        return removed(await self._session.scalars(statement.returning(bytes_of(Process))))


def _ended_before(seconds: float) -> ColumnElement[bool]:
    return Process.ended_at <= ago(seconds)


def ago(seconds: float) -> ColumnElement[Any]:
    """Give the time so many seconds ago, by the database's clock."""
    return func.now() - func.make_interval(0, 0, 0, 0, 0, 0, seconds)
