"""The rows of `programs` and `program_revisions`."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import NameTakenError, ProgramNotFoundError, RevisionNotFoundError
from app.models import Program, ProgramRevision
from app.models.states import ProgramStatus, program_origins
from app.stores.pages import Page, Paged, on_page, paged


class ProgramStore:
    """Reads and writes programs and their revisions within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def get(self, program_id: UUID) -> Program:
        """Find a program; ProgramNotFoundError where there is none."""
        found = await self._session.get(Program, program_id)
        if found is None:
            raise ProgramNotFoundError(f"There is no program {program_id}.")
        return found

    async def add(self, values: Mapping[str, Any]) -> Program:
        """Add a draft with its first revision; NameTakenError where the name is in use."""
        statement = (
            insert(Program)
            .values(
                **values,
                revision=1,
                status=ProgramStatus.DRAFT,
                created_at=func.now(),
                updated_at=func.now(),
            )
            .returning(Program)
        )
        try:
            program = (await self._session.scalars(statement)).one()
        except IntegrityError as error:
            if "uq_programs_name_live" not in str(error.orig):
                raise
            message = f"Another program is named {values['name']}."
            raise NameTakenError(message) from None
        await self._add_revision(program)
        return program

    async def _add_revision(self, program: Program) -> None:
        statement = insert(ProgramRevision).values(
            program_id=program.id,
            revision=program.revision,
            adapter=program.adapter,
            config=program.config,
            state=program.state,
            created_at=func.now(),
        )
        await self._session.execute(statement)

    async def get_revision(self, program_id: UUID, revision: int) -> ProgramRevision:
        """Find what the program was; RevisionNotFoundError where it never had the revision."""
        found = await self._session.get(ProgramRevision, (program_id, revision))
        if found is None:
            message = f"The program {program_id} has no revision {revision}."
            raise RevisionNotFoundError(message)
        return found

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
        statement = (
            update(Program)
            .where(Program.id == program_id, Program.status.in_(program_origins(target)))
            .values(status=target, error=error, updated_at=func.now())
            .returning(Program)
            .execution_options(populate_existing=True)
        )
        return (await self._session.scalars(statement)).one_or_none()

    async def count_execution(self, program_id: UUID) -> None:
        """Count one ended execution."""
        statement = (
            update(Program)
            .where(Program.id == program_id)
            .values(
                execution_count=Program.execution_count + 1,
                last_executed_at=func.greatest(Program.last_executed_at, func.now()),
            )
        )
        await self._session.execute(statement)

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
