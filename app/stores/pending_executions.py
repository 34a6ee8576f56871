"""The queue of executions that wait to be claimed, and how executions come back to it.

Whoever takes a place out of the queue locks it before the record: nobody waits in a circle.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Execution, PendingExecution, ProgramRevision
from app.models.pending_executions import QUEUE, TASK
from app.models.states import ExecutionStatus
from app.stores.documents import dump_document
from app.stores.executions import TAKEN_MS
from app.stores.jobs import JobStore

_TAKE = text("""
WITH suspect AS MATERIALIZED (
    SELECT id FROM pending_executions WHERE is_suspect ORDER BY id LIMIT 1
    FOR UPDATE SKIP LOCKED
), others AS MATERIALIZED (
    SELECT id FROM pending_executions WHERE NOT is_suspect AND NOT EXISTS (SELECT FROM suspect)
    ORDER BY id LIMIT :count FOR UPDATE SKIP LOCKED
)
DELETE FROM pending_executions
WHERE id IN (SELECT id FROM suspect UNION ALL SELECT id FROM others)
RETURNING id, is_suspect
""")

# The range keeps the look-up within the partitions of the group.
_GIVE_BACK = text("""
UPDATE executions e
SET status = 'pending', owner_id = NULL, started_at = NULL, attempts = n.attempts
FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS json[])) AS n (id, attempts)
WHERE e.id = n.id AND e.id BETWEEN :low AND :high
""")


@dataclass(frozen=True)
class Claimed:
    """Executions that were claimed: a suspect alone, or any number of others."""

    executions: Sequence[Execution]
    has_suspect: bool = False


@dataclass(frozen=True)
class Lost:
    """A running execution that its process will not end; its record is locked.

    `started_at` is None where it waited to be alone; `taken_ms` is the time since.
    """

    id: UUID
    program_id: UUID
    adapter: str
    attempts: Sequence[Mapping[str, Any]]
    started_at: datetime | None
    taken_ms: float


@dataclass(frozen=True)
class Returning:
    """An execution on its way back into the queue, with its attempts so far."""

    id: UUID
    attempts: Sequence[Mapping[str, Any]]
    is_suspect: bool


class PendingExecutionStore:
    """Reads and writes the queue within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def claim(self, owner_id: UUID, count: int) -> Claimed:
        """Make up to `count` executions running, the oldest first, for one owner.

        A suspect comes first and alone, and has not started yet. What was cancelled meanwhile
        loses its place.
        """
        taken = (await self._session.execute(_TAKE, {"count": count})).all()
        if not taken:
            return Claimed([])
        has_suspect = taken[0].is_suspect
        ids = sorted(row.id for row in taken)
        statement = (
            update(Execution)
            .where(
                Execution.id.in_(ids),
                Execution.id.between(ids[0], ids[-1]),
                Execution.status == ExecutionStatus.PENDING,
            )
            .values(
                status=ExecutionStatus.RUNNING,
                owner_id=owner_id,
                started_at=None if has_suspect else func.now(),
            )
            .returning(Execution)
        )
        return Claimed((await self._session.scalars(statement)).all(), has_suspect)

    async def start(self, execution: Execution) -> bool:
        """Say that a suspect starts; False where it is not its owner's any more."""
        statement = (
            update(Execution)
            .where(
                Execution.id == execution.id,
                Execution.owner_id == execution.owner_id,
                Execution.status == ExecutionStatus.RUNNING,
            )
            .values(started_at=func.now())
            .returning(Execution.id)
        )
        return (await self._session.scalars(statement)).one_or_none() is not None

    async def hold_lost(self, owners: Collection[UUID], after: UUID, limit: int) -> Sequence[Lost]:
        """Lock running executions of these owners, made after an id; up to `limit` of them.

        What somebody else is about to end is left to him.
        """
        adapter = (
            select(ProgramRevision.adapter)
            .where(
                ProgramRevision.program_id == Execution.program_id,
                ProgramRevision.revision == Execution.program_revision,
            )
            .scalar_subquery()
        )
        query = (
            select(
                Execution.id,
                Execution.program_id,
                adapter.label("adapter"),
                Execution.attempts,
                Execution.started_at,
                TAKEN_MS.label("taken_ms"),
            )
            .where(
                Execution.owner_id.in_(owners),
                Execution.status == ExecutionStatus.RUNNING,
                Execution.is_background,
                Execution.id > after,
            )
            .order_by(Execution.id)
            .limit(limit)
            .with_for_update(skip_locked=True, of=Execution)
        )
        rows = (await self._session.execute(query)).mappings()
        return [Lost(**{**row, "taken_ms": float(row["taken_ms"])}) for row in rows]

    async def give_back(self, returning: Sequence[Returning]) -> None:
        """Put executions back into the queue, and wake somebody up; their records are locked."""
        if not returning:
            return
        ids = [one.id for one in returning]
        values = {
            "ids": ids,
            "attempts": [dump_document(one.attempts) for one in returning],
            "low": min(ids),
            "high": max(ids),
        }
        await self._session.execute(_GIVE_BACK, values)
        places = [{"id": one.id, "is_suspect": one.is_suspect} for one in returning]
        await self._session.execute(insert(PendingExecution), places)
        await self.wake_up()

    async def wake_up(self) -> None:
        """Have somebody claim, with this transaction's commit."""
        await JobStore(self._session).wake_up(QUEUE, TASK)

    async def remind(self) -> None:
        """Wake somebody up where anything waits."""
        query = select(func.dspatch_wake_up(QUEUE, TASK)).where(
            select(PendingExecution.id).exists()
        )
        await self._session.execute(query)

    async def drop(self, execution_id: UUID) -> None:
        """Take an execution out of the queue, if it stands there."""
        await self._session.execute(
            delete(PendingExecution).where(PendingExecution.id == execution_id)
        )

    async def count(self) -> int:
        """Count what waits."""
        query = select(func.count()).select_from(PendingExecution)
        return (await self._session.scalars(query)).one()
