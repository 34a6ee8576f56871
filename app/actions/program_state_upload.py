"""Give a program a compiled state: a new revision of it."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from app.actions.program_catalogue import ProgramCatalogue
from app.actions.program_change import ProgramChange, ProgramChangeInput
from app.actions.program_states import ProgramStates
from app.database import Database
from app.models import Program


class ProgramStateUpload:
    """Takes the states that optimizers produced."""

    def __init__(
        self,
        database: Database,
        catalogue: ProgramCatalogue,
        states: ProgramStates,
        change: ProgramChange,
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._states = states
        self._change = change

    async def __call__(self, program_id: UUID, document: Mapping[str, Any]) -> Program:
        """Take a state as DSPy's `save` writes it.

        Raises ProgramNotFoundError, InvalidStateError, StateUnavailableError and
        InvalidTransitionError.
        """
        async with self._database.transaction() as tx:
            runnable = await self._catalogue.get(tx, program_id)
        state = await self._states.read(runnable.program.adapter, runnable.for_adapter(), document)
        return await self._change(
            ProgramChangeInput(program_id, setup={"state": state}, always=True)
        )
