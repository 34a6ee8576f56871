"""Prepare a program on its adapter: `ready` where that works, `error` with the reason where not."""

import asyncio
import logging
from typing import NamedTuple
from uuid import UUID

from app.actions.program_catalogue import ProgramCatalogue, RunnableProgram
from app.adapters.errors import AdapterError
from app.adapters.registry import AdapterRegistry
from app.database import Database
from app.errors import InvalidTransitionError
from app.models import Program
from app.models.states import ProgramStatus
from app.policies.shield import Shield

logger = logging.getLogger(__name__)

PREPARATION_TIMEOUT_S = 60.0


class _Verdict(NamedTuple):
    """Where a preparation leaves a program, and why."""

    status: ProgramStatus
    reason: str | None = None


class ProgramInitialization:
    """Prepares programs."""

    def __init__(
        self,
        database: Database,
        catalogue: ProgramCatalogue,
        adapters: AdapterRegistry,
        shield: Shield,
        timeout_s: float = PREPARATION_TIMEOUT_S,
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._adapters = adapters
        self._shield = shield
        self._timeout_s = timeout_s

    async def __call__(self, program_id: UUID) -> Program:
        """Prepare; raises ProgramNotFoundError, InvalidTransitionError."""
        runnable = await self._begin(program_id)
        verdict = _Verdict(ProgramStatus.ERROR, "The preparation was interrupted.")
        try:
            verdict = await self._prepare(runnable)
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

    async def _prepare(self, runnable: RunnableProgram) -> _Verdict:
        adapter = self._adapters.find(runnable.program.adapter)
        if adapter is None:
            return _Verdict(
                ProgramStatus.ERROR, f"There is no adapter {runnable.program.adapter!r}."
            )
        try:
            async with asyncio.timeout(self._timeout_s):
                await adapter.create_program(runnable.for_adapter())
        except AdapterError as error:
            return _Verdict(ProgramStatus.ERROR, error.message)
        except TimeoutError:
            return _Verdict(ProgramStatus.ERROR, f"The adapter took over {self._timeout_s:g} s.")
        except Exception as error:
            logger.exception("adapter %s raised what is no AdapterError", adapter.name)
            return _Verdict(ProgramStatus.ERROR, f"The adapter failed: {type(error).__name__}.")
        return _Verdict(ProgramStatus.READY)

    async def _end(self, program: Program, verdict: _Verdict) -> Program:
        async with self._database.transaction() as tx:
            ended = await tx.programs.mark(program.id, verdict.status, error=verdict.reason)
            return ended or await tx.programs.get(program.id)
