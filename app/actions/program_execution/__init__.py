"""Run a program once: validate, record, attempt, validate again, end the record on every exit."""

import asyncio
from random import Random

from app.actions.program_catalogue import ProgramCatalogue
from app.actions.program_execution.ending import problem_of
from app.actions.program_execution.intake import Intake, ProgramExecutionInput
from app.actions.program_execution.records import ExecutionRecords
from app.actions.program_execution.running import Running
from app.actions.program_execution.runs import Run, Runs
from app.adapters.registry import AdapterRegistry
from app.checkpoints import Checkpoint
from app.models import Execution
from app.models.states import ExecutionStatus
from app.policies.clock import Clock

__all__ = ["ProgramExecution", "ProgramExecutionInput"]


class ProgramExecution:
    """Runs programs; the report is the execution's record."""

    def __init__(
        self,
        catalogue: ProgramCatalogue,
        adapters: AdapterRegistry,
        records: ExecutionRecords,
        runs: Runs,
        clock: Clock,
        random: Random,
    ) -> None:
        self._intake = Intake(catalogue, adapters)
        self._records = records
        self._runs = runs
        self._running = Running(records, runs, clock, random)

    async def __call__(self, asked: ProgramExecutionInput) -> Execution:
        """Run to the end.

        Raises ProgramNotFoundError, RevisionNotFoundError, ProgramNotReadyError and
        InvalidInputsError before anything is recorded, KeyChangedError where another request
        holds the idempotency key, an ExecutionError where the record ends otherwise than completed.
        """
        with self._runs.run() as run:
            try:
                execution = await self._execute(asked, run)
            except asyncio.CancelledError:
                if run.execution is None or not run.is_called_off:
                    raise
                run.task.uncancel()
                execution = await self._records.get(run.execution.id)
        if execution.status != ExecutionStatus.COMPLETED:
            raise problem_of(execution)
        return execution

    async def _execute(self, asked: ProgramExecutionInput, run: Run) -> Execution:
        wanted = await self._intake(asked)
        self._runs.reached(Checkpoint.BEFORE_BEGIN)
        beginning = wanted.beginning() | {"owner_id": self._runs.owner_id()}
        begun = await self._records.begin(beginning, asked.claim)
        self._runs.reached(Checkpoint.BEGUN)
        return await self._running(run, begun, asked.options, wanted.runnable, wanted.adapter)
