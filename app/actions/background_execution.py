"""Run an execution that was claimed, which nobody's request waits for."""

from functools import partial
from random import Random

from app.actions.patience import patiently
from app.actions.program_catalogue import ProgramCatalogue, RunnableProgram
from app.actions.program_execution.options import ExecutionOptions
from app.actions.program_execution.records import ExecutionRecords
from app.actions.program_execution.running import BUG, Running
from app.actions.program_execution.runs import Runs
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.guarded import GuardedAdapter
from app.adapters.registry import AdapterRegistry
from app.models import Execution
from app.models.states import ProgramStatus
from app.policies.clock import Clock
from app.telemetry import current_request_id

AGAIN_AFTER_S = 1.0
"""The pause after the database did not tell which program it is."""


class BackgroundExecution:
    """Runs claimed executions on the revision that their records name."""

    def __init__(
        self,
        catalogue: ProgramCatalogue,
        adapters: AdapterRegistry,
        records: ExecutionRecords,
        runs: Runs,
        clock: Clock,
        random: Random,
    ) -> None:
        self._catalogue = catalogue
        self._adapters = adapters
        self._records = records
        self._runs = runs
        self._clock = clock
        self._running = Running(records, runs, clock, random)

    async def __call__(self, execution: Execution) -> None:
        """Run to the end.

        What cannot be run any more ends the record; raises what bugs raise. Cancelled, it leaves
        the record to whoever has ended it or runs it now.
        """
        current_request_id.set(execution.request_id)
        with self._runs.run() as run:
            self._runs.begin(run, execution)
            try:
                options = ExecutionOptions(**execution.execution_options)
                runnable = await self._recalled(execution)
                adapter = self._adapter_of(runnable)
            except AdapterError as refusal:
                await self._records.refuse(execution, refusal)
            except Exception:
                await self._records.refuse(execution, BUG)
                raise
            else:
                await self._running(run, execution, options, runnable, adapter)

    async def _recalled(self, execution: Execution) -> RunnableProgram:
        """Find the program; it is claimed, so an outage of the database is waited for."""
        recall = partial(self._catalogue.recall, execution.program_id, execution.program_revision)
        return await patiently(self._clock, recall, AGAIN_AFTER_S)

    def _adapter_of(self, runnable: RunnableProgram) -> GuardedAdapter:
        """Refuse what has become of a program that was ready when the execution was accepted.

        A later revision may be in error or on its way: it is not the one that runs.
        """
        program, name = runnable.program, runnable.at.adapter
        adapter = self._adapters.find(name)
        is_current = runnable.at.revision == program.revision
        if program.status == ProgramStatus.ARCHIVED or (
            is_current and program.status == ProgramStatus.ERROR
        ):
            reason = f"The program {program.name} is {program.status}"
            detail = f": {program.error}" if program.error else "."
            raise AdapterError(ErrorType.PROGRAM_NOT_FOUND, reason + detail)
        if adapter is None:
            message = f"There is no adapter {name!r} any more."
            raise AdapterError(ErrorType.PROGRAM_NOT_FOUND, message)
        return adapter
