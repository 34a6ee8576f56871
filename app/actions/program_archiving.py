"""Retire a program: its name is free, its executions stay readable, its adapter forgets it."""

import logging
from uuid import UUID

from app.adapters.errors import AdapterError
from app.adapters.registry import AdapterRegistry
from app.database import Database
from app.errors import InvalidTransitionError
from app.models import Program
from app.models.states import ProgramStatus

logger = logging.getLogger(__name__)


class ProgramArchiving:
    """Retires programs."""

    def __init__(self, database: Database, adapters: AdapterRegistry) -> None:
        self._database = database
        self._adapters = adapters

    async def __call__(self, program_id: UUID) -> Program:
        """Retire; raises ProgramNotFoundError, InvalidTransitionError where it is already."""
        program = await self._mark(program_id)
        await self._forget(program)
        return program

    async def _mark(self, program_id: UUID) -> Program:
        async with self._database.transaction() as tx:
            program = await tx.programs.mark(program_id, ProgramStatus.ARCHIVED)
            if program is None:
                await tx.programs.get(program_id)
                raise InvalidTransitionError("The program is archived already.")
            return program

    async def _forget(self, program: Program) -> None:
        adapter = self._adapters.find(program.adapter)
        if adapter is None:
            return
        try:
            await adapter.delete_program(program.id)
        except AdapterError as error:  # it is retired all the same; what is held is only memory
            logger.warning("%s keeps the archived %s: %s", adapter.name, program.name, error)
