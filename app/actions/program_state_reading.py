"""Give a program's compiled state as DSPy's `load` takes it."""

from typing import Any
from uuid import UUID

from app.actions.program_catalogue import ProgramCatalogue
from app.actions.program_states import ProgramStates
from app.database import Database


class ProgramStateReading:
    """Reads the states of programs."""

    def __init__(
        self, database: Database, catalogue: ProgramCatalogue, states: ProgramStates
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._states = states

    async def __call__(self, program_id: UUID) -> dict[str, Any]:
        """Give what was stored, or else what the module would save when it is freshly built.

        Raises ProgramNotFoundError and StateUnavailableError.
        """
        async with self._database.transaction() as tx:
            program = await tx.programs.get(program_id)
            runnable = await self._catalogue.get(tx, program_id)
        if program.state is not None:
            return program.state
        return await self._states.fresh(program.adapter, runnable.for_adapter())
