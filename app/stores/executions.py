"""The rows of `executions`."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import Select, and_, extract, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import undefer

from app.errors import ExecutionNotFoundError
from app.models import Execution, Process
from app.models.ids import item_range
from app.models.states import ExecutionStatus, Outcome, execution_origins
from app.stores.pages import Page, Paged, on_page, paged
from app.stores.processes import ago

_TABLE = Execution.__table__
_TAKEN_S = extract("epoch", func.now() - func.coalesce(_TABLE.c.started_at, func.now()))
TAKEN_MS = func.round(_TAKEN_S * 1_000, 3)
"""Since it started, or 0 where it has not."""

_RUNS_FOR_SOMEBODY = and_(
    Execution.status == ExecutionStatus.RUNNING,
    Execution.batch_id.is_(None),
    Execution.owner_id.is_not(None),
)
_ITS_PROCESS = and_(Process.id == Execution.owner_id, Process.ended_at.is_(None))


@dataclass(frozen=True)
class ExecutionFilter:
    """Which executions a list is about; None asks for all."""

    program_id: UUID | None = None
    status: ExecutionStatus | None = None
    outcome: Outcome | None = None
    batch_id: UUID | None = None
    error_type: str | None = None
    created_after: AwareDatetime | None = None
    created_before: AwareDatetime | None = None

    def narrow(self, query: Select[Any]) -> Select[Any]:
        """Add the conditions to a query."""
        for name in ("program_id", "status", "outcome", "batch_id"):
            wanted = getattr(self, name)
            if wanted is not None:
                query = query.where(_TABLE.c[name] == wanted)
        if self.batch_id is not None:  # its items' ids are a range: the other partitions rest
            query = query.where(_TABLE.c.id.between(*item_range(self.batch_id)))
        if self.error_type is not None:
            query = query.where(_TABLE.c.error["type"].astext == self.error_type)
        if self.created_after is not None:
            query = query.where(_TABLE.c.created_at > self.created_after)
        if self.created_before is not None:
            query = query.where(_TABLE.c.created_at < self.created_before)
        return query


class ExecutionStore:
    """Reads and writes lifecycle records within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def get(self, execution_id: UUID, *, with_trace: bool = False) -> Execution:
        """Find a record, without its trace unless asked; ExecutionNotFoundError where is none."""
        options = [undefer(Execution.trace)] if with_trace else []
        found = await self._session.get(
            Execution, execution_id, options=options, populate_existing=True
        )
        if found is None:
            raise ExecutionNotFoundError(f"There is no execution {execution_id}.")
        return found

    async def add_running(self, values: Mapping[str, Any]) -> UUID:
        """Add a record that is running from now on; give its id."""
        statement = (
            insert(Execution)
            .values(
                **values,
                status=ExecutionStatus.RUNNING,
                attempts=[],
                created_at=func.now(),
                started_at=func.now(),
            )
            .returning(Execution.id)
        )
        return (await self._session.scalars(statement)).one()

    async def finish(self, execution_id: UUID, values: Mapping[str, Any]) -> Execution | None:
        """End a record; None where it had ended already, and nothing is written then."""
        origins = execution_origins(values["status"])
        statement = (
            update(Execution)
            .where(Execution.id == execution_id, Execution.status.in_(origins))
            .values(**values, finished_at=func.now())
            .returning(Execution)
            .execution_options(populate_existing=True)
        )
        return (await self._session.scalars(statement)).one_or_none()

    async def cancel(self, execution_id: UUID, values: Mapping[str, Any]) -> Execution | None:
        """End a record from outside: as `finish`, but nobody measured how long it took."""
        return await self.finish(execution_id, {**values, "duration_ms": TAKEN_MS})

    async def end_lost(
        self, owners: Collection[UUID], after: UUID, values: Mapping[str, Any], limit: int
    ) -> Mapping[UUID, UUID]:
        """End running records of these owners, made after an id, that nobody runs again.

        Gives up to `limit` of them, each with its program. What somebody else is about to end is
        left to him.
        """
        lost = (
            select(Execution.id)
            .where(
                Execution.owner_id.in_(owners),
                Execution.status == ExecutionStatus.RUNNING,
                Execution.batch_id.is_(None),
                ~Execution.is_background,
                Execution.id > after,
            )
            .order_by(Execution.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        ids = (await self._session.scalars(lost)).all()
        if not ids:
            return {}
        statement = (
            update(Execution)
            .where(Execution.id.in_(ids), Execution.id.between(min(ids), max(ids)))
            .values(**values, finished_at=func.now(), duration_ms=TAKEN_MS)
            .returning(Execution.id, Execution.program_id)
        )
        return {row.id: row.program_id for row in await self._session.execute(statement)}

    async def list_dead_owners(self) -> Sequence[UUID]:
        """List who owns running records, but for items of batches, and does not live.

        A process enters before it owns anything, and one that has ended does not come back.
        """
        query = (
            select(Execution.owner_id)
            .distinct()
            .outerjoin(Process, _ITS_PROCESS)
            .where(_RUNS_FOR_SOMEBODY, Process.id.is_(None))
        )
        return [owner_id for owner_id in await self._session.scalars(query) if owner_id]

    async def count_orphans(self, silent_s: float) -> tuple[int, int]:
        """Count the running records whose owners are dead, and those whose owners are silent.

        Items of batches are not counted: they are their lanes'.
        """
        silent = Process.heartbeat_at < ago(silent_s)
        query = (
            select(
                func.count().filter(Process.id.is_(None)),
                func.count().filter(silent),
            )
            .select_from(Execution)
            .outerjoin(Process, _ITS_PROCESS)
            .where(_RUNS_FOR_SOMEBODY)
        )
        dead, silent_ones = (await self._session.execute(query)).one()
        return dead, silent_ones

    async def list_ended(self, ids: Collection[UUID]) -> Sequence[UUID]:
        """List those of some records that have ended."""
        query = select(Execution.id).where(
            Execution.id.in_(ids),
            Execution.id.between(min(ids), max(ids)),
            Execution.finished_at.is_not(None),
        )
        return (await self._session.scalars(query)).all()

    async def count_running(self) -> int:
        """Count what runs now, in any process; the index of owners holds that alone."""
        query = select(func.count()).where(Execution.status == ExecutionStatus.RUNNING)
        return (await self._session.scalars(query)).one()

    async def list_page(self, page: Page, wanted: ExecutionFilter) -> Paged[Execution]:
        """List records, newest first."""
        query = on_page(wanted.narrow(select(Execution)), _TABLE.c.id, page)
        return paged((await self._session.scalars(query)).all(), page)
