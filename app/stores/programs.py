"""The rows of `programs` and `program_revisions`."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import NameTakenError, ProgramNotFoundError, RevisionNotFoundError
from app.models import ExecutionCount, Program, ProgramRevision
from app.models.states import ProgramStatus, program_origins
from app.stores.pages import Page, Paged, on_page, paged
from app.stores.processes import ago

_FOLDING = 4_027_431_004
_FOLD = text("""
WITH taken AS (
    DELETE FROM execution_counts RETURNING program_id, ended, last_ended_at
), summed AS (
    SELECT program_id, sum(ended) AS ended, max(last_ended_at) AS last_ended_at
    FROM taken GROUP BY program_id
)
UPDATE programs
SET execution_count = execution_count + summed.ended,
    last_executed_at = greatest(last_executed_at, summed.last_ended_at)
FROM summed WHERE programs.id = summed.program_id
""")


CHANGED = "changed_programs"
"""Where a session keeps the ids of the programs that its transaction changes."""


class ProgramStore:
    """Reads and writes programs and their revisions within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def get(self, program_id: UUID) -> Program:
        """Find a program; ProgramNotFoundError where there is none."""
        return _found(program_id, await self._session.get(Program, program_id))

    async def hold(self, program_id: UUID) -> Program:
        """Find a program, which nobody else changes until this transaction ends."""
        found = await self._session.get(Program, program_id, with_for_update=True)
        return _found(program_id, found)

    async def count_by_status(self) -> Mapping[ProgramStatus, int]:
        """Count the programs of each status."""
        query = select(Program.status, func.count()).group_by(Program.status)
        found = {row[0]: row[1] for row in await self._session.execute(query)}
        return {status: found.get(status, 0) for status in ProgramStatus}

    async def add(self, values: Mapping[str, Any]) -> Program:
        """Add a draft with its first revision; NameTakenError where the name is in use."""
        statement = insert(Program).values(
            **values,
            revision=1,
            status=ProgramStatus.DRAFT,
            created_at=func.now(),
            updated_at=func.now(),
        )
        try:
            await self._session.execute(statement)
        except IntegrityError as error:
            if "uq_programs_name_live" not in str(error.orig):
                raise
            message = f"Another program is named {values['name']}."
            raise NameTakenError(message) from None
        program = await self.get(values["id"])
        await self.add_revision(program, {})
        return program

    async def add_revision(self, program: Program, setup: Mapping[str, Any]) -> ProgramRevision:
        """Add the program's next revision: as it is, but for the adapter, config, state of `setup`.

        The program must be held, or new.
        """
        numbers = select(func.coalesce(func.max(ProgramRevision.revision), 0) + 1).where(
            ProgramRevision.program_id == program.id
        )
        values = {"adapter": program.adapter, "config": program.config, "state": program.state}
        statement = (
            insert(ProgramRevision)
            .values(
                program_id=program.id,
                revision=numbers.scalar_subquery(),
                created_at=func.now(),
                **{**values, **setup},
            )
            .returning(ProgramRevision)
        )
        return (await self._session.scalars(statement)).one()

    async def get_revision(self, program_id: UUID, revision: int) -> ProgramRevision:
        """Find what the program was; RevisionNotFoundError where it never was that."""
        found = await self._session.get(ProgramRevision, (program_id, revision))
        if found is None:
            raise RevisionNotFoundError(f"The program has no revision {revision}.")
        return found

    async def change(self, program_id: UUID, values: Mapping[str, Any]) -> Program:
        """Write columns of a program that is held."""
        self._note(program_id)
        statement = update(Program).where(Program.id == program_id)
        await self._session.execute(statement.values(**values, updated_at=func.now()))
        return await self._read(program_id)

    async def list_revisions(self, program_id: UUID) -> Sequence[ProgramRevision]:
        """List what the program was, newest first."""
        query = (
            select(ProgramRevision)
            .where(ProgramRevision.program_id == program_id)
            .order_by(ProgramRevision.revision.desc())
        )
        return (await self._session.scalars(query)).all()

    async def mark(
        self, program_id: UUID, target: ProgramStatus, *, error: str | None = None
    ) -> Program | None:
        """Move a program to `target` where its status allows it; None where it does not."""
        self._note(program_id)
        statement = (
            update(Program)
            .where(Program.id == program_id, Program.status.in_(program_origins(target)))
            .values(status=target, error=error, updated_at=func.now())
            .returning(Program.id)
        )
        if (await self._session.scalars(statement)).one_or_none() is None:
            return None
        return await self._read(program_id)

    async def list_known(self, program_ids: Collection[UUID]) -> set[UUID]:
        """Give those of some ids that are programs."""
        query = select(Program.id).where(Program.id.in_(program_ids))
        return set(await self._session.scalars(query))

    async def list_ready(self) -> Sequence[tuple[str, UUID]]:
        """List the programs that are ready: their adapters' names and their ids."""
        query = select(Program.adapter, Program.id).where(Program.status == ProgramStatus.READY)
        return [(row.adapter, row.id) for row in await self._session.execute(query)]

    async def count_stuck(self, after_s: float) -> int:
        """Count the programs that have been initializing for longer."""
        return (await self._session.scalars(select(func.count()).where(_stuck(after_s)))).one()

    async def give_up_stuck(self, after_s: float, error: str) -> Sequence[UUID]:
        """Move the programs that have been initializing for longer to `error`; list them."""
        values = {"status": ProgramStatus.ERROR, "error": error, "updated_at": func.now()}
        statement = update(Program).where(_stuck(after_s)).values(values).returning(Program.id)
        stuck = (await self._session.scalars(statement)).all()
        for program_id in stuck:
            self._note(program_id)
        return stuck

    async def _read(self, program_id: UUID) -> Program:
        """Read what was written; RETURNING would leave out what is counted in another table."""
        return await self._session.get_one(Program, program_id, populate_existing=True)

    def _note(self, program_id: UUID) -> None:
        """Have it told after the commit that a program is not what it was."""
        self._session.info.setdefault(CHANGED, set()).add(program_id)

    async def count_executions(self, program_ids: Iterable[UUID]) -> None:
        """Count ended executions, of each the program; the recorder counts its own."""
        counts = [
            {"program_id": program_id, "ended": ended}
            for program_id, ended in Counter(program_ids).items()
        ]
        if counts:
            statement = insert(ExecutionCount).values(last_ended_at=func.now())
            await self._session.execute(statement, counts)

    async def fold_counts(self) -> None:
        """Add to the programs' counters what was counted since; of several at once, one does it."""
        if (await self._session.scalars(select(func.pg_try_advisory_xact_lock(_FOLDING)))).one():
            await self._session.execute(_FOLD)

    async def list_page(
        self,
        page: Page,
        *,
        name: str | None = None,
        status: ProgramStatus | None = None,
        signature_id: UUID | None = None,
    ) -> Paged[Program]:
        """List programs, newest first."""
        query = select(Program)
        if name is not None:
            query = query.where(Program.name == name)
        if status is not None:
            query = query.where(Program.status == status)
        if signature_id is not None:
            query = query.where(Program.signature_id == signature_id)
        rows = (await self._session.scalars(on_page(query, Program.__table__.c.id, page))).all()
        return paged(rows, page)


def _stuck(after_s: float) -> ColumnElement[bool]:
    return and_(Program.status == ProgramStatus.INITIALIZING, Program.updated_at < ago(after_s))


def _found(program_id: UUID, program: Program | None) -> Program:
    if program is None:
        raise ProgramNotFoundError(f"There is no program {program_id}.")
    return program
