"""Roll a program back: what it was at a revision becomes its newest revision."""

from uuid import UUID

from app.actions.program_change import ProgramChange, ProgramChangeInput
from app.database import Database
from app.models import Program


class ProgramRestoration:
    """Rolls programs back."""

    def __init__(self, database: Database, change: ProgramChange) -> None:
        self._database = database
        self._change = change

    async def __call__(self, program_id: UUID, revision: int) -> Program:
        """Roll back; raises ProgramNotFoundError, RevisionNotFoundError, InvalidTransitionError."""
        async with self._database.transaction() as tx:
            await tx.programs.get(program_id)
            known = await tx.programs.get_revision(program_id, revision)
        setup = {"adapter": known.adapter, "config": known.config, "state": known.state}
        return await self._change(ProgramChangeInput(program_id, setup=setup, always=True))
