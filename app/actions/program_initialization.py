"""Prepare a program on its adapter: `ready` where that works, `error` with the reason where not."""

from uuid import UUID

from app.actions.program_catalogue import ProgramCatalogue, RunnableProgram
from app.actions.program_preparation import ProgramPreparation, Verdict
from app.database import Database
from app.errors import InvalidTransitionError
from app.models import Program
from app.models.states import ProgramStatus
from app.policies.shield import Shield


class ProgramInitialization:
    """Initializes programs."""

    def __init__(
        self,
        database: Database,
        catalogue: ProgramCatalogue,
        preparation: ProgramPreparation,
        shield: Shield,
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._preparation = preparation
        self._shield = shield

    async def __call__(self, program_id: UUID) -> Program:
        """Prepare; raises ProgramNotFoundError, InvalidTransitionError."""
        runnable = await self._begin(program_id)
        verdict = Verdict(ProgramStatus.ERROR, "The preparation was interrupted.")
        try:
            verdict = await self._preparation(runnable.program.adapter, runnable.for_adapter())
        finally:
            end = self._end(runnable.program, verdict)
            program = await self._shield.uninterrupted(end)
        return program

    async def _begin(self, program_id: UUID) -> RunnableProgram:
        async with self._database.transaction() as tx:
            runnable = await self._catalogue.get(tx, program_id)
            if await tx.programs.mark(program_id, ProgramStatus.INITIALIZING) is None:
                raise InvalidTransitionError(
                    f"The program is {runnable.program.status} and cannot be initialized."
                )
            return runnable

    async def _end(self, program: Program, verdict: Verdict) -> Program:
        async with self._database.transaction() as tx:
            ended = await tx.programs.mark(program.id, verdict.status, error=verdict.reason)
            return ended or await tx.programs.get(program.id)
