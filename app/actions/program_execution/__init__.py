"""Run a program once: validate, record, attempt, validate again, end the record on every exit."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

from app.actions.program_catalogue import ProgramCatalogue, RunnableProgram
from app.actions.program_execution.attempts import Attempts, Surroundings
from app.actions.program_execution.ending import Ending, problem_of
from app.actions.program_execution.options import ExecutionOptions
from app.actions.program_execution.records import ExecutionRecords
from app.actions.program_execution.runs import Run, Runs
from app.adapters.base import Adapter, ProgramCall
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.guarded import GuardedAdapter
from app.adapters.registry import AdapterRegistry
from app.checkpoints import Checkpoint
from app.errors import InvalidInputsError, ProgramNotReadyError
from app.models import Execution
from app.models.idempotency_keys import Claim
from app.models.states import ExecutionStatus, ProgramStatus
from app.policies.clock import Clock
from app.signatures.compile import ValuesError
from app.telemetry import current_execution_id

_CANCELLED = AdapterError(ErrorType.CANCELLED, "The execution was cancelled.")
_BUG = AdapterError(ErrorType.UNEXPECTED, "Dspatch failed in the middle of the execution.")


@dataclass(frozen=True)
class ProgramExecutionInput:
    """One run that a client asks for, of a revision or the program as it is.

    `metadata` is the client's alone.
    """

    program_id: UUID
    inputs: Mapping[str, Any]
    options: ExecutionOptions = field(default_factory=ExecutionOptions)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    request_id: str | None = None
    revision: int | None = None
    claim: Claim | None = None


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
        self._catalogue = catalogue
        self._adapters = adapters
        self._records = records
        self._runs = runs
        self._clock = clock
        self._random = random

    async def __call__(self, wanted: ProgramExecutionInput) -> Execution:
        """Run to the end.

        Raises ProgramNotFoundError, RevisionNotFoundError, ProgramNotReadyError and
        InvalidInputsError before anything is recorded, KeyChangedError where another request
        holds the idempotency key, an ExecutionError where the record ends otherwise than completed.
        """
        with self._runs.run() as run:
            try:
                execution = await self._execute(wanted, run)
            except asyncio.CancelledError:
                if run.execution is None or not run.is_called_off:
                    raise
                run.task.uncancel()
                execution = await self._records.get(run.execution.id)
        if execution.status != ExecutionStatus.COMPLETED:
            raise problem_of(execution)
        return execution

    async def _execute(self, wanted: ProgramExecutionInput, run: Run) -> Execution:
        runnable = await self._catalogue.recall(wanted.program_id, wanted.revision)
        adapter = self._adapter_of(runnable)
        inputs = _validated(runnable, wanted.inputs)
        beginning = _beginning(runnable, adapter, wanted, inputs)
        self._runs.reached(Checkpoint.BEFORE_BEGIN)
        beginning |= {"owner_id": self._runs.owner_id()}
        begun = await self._records.begin(beginning, wanted.claim)
        current_execution_id.set(str(begun.id))
        self._runs.reached(Checkpoint.BEGUN)
        self._runs.begin(run, begun)
        trace = self._records.new_trace()
        call = ProgramCall(runnable.for_adapter(), inputs, wanted.options.config, trace=trace)
        surroundings = Surroundings(adapter, self._clock, self._random)
        attempts = Attempts(call, runnable.compiled, wanted.options, surroundings)
        return await self._run(begun, attempts)

    def _adapter_of(self, runnable: RunnableProgram) -> GuardedAdapter:
        """Refuse a program that cannot run, with its own words."""
        program, name = runnable.program, runnable.at.adapter
        adapter = self._adapters.find(name)
        if program.status == ProgramStatus.READY and adapter is not None:
            return adapter
        reason = program.error
        if program.status == ProgramStatus.READY:
            reason = f"There is no adapter {name!r} any more."
        raise ProgramNotReadyError(
            f"The program {program.name} is {program.status}" + (f": {reason}" if reason else "."),
            members={"program_status": program.status, "program_error": reason},
        )

    async def _run(self, execution: Execution, attempts: Attempts) -> Execution:
        began = self._clock.monotonic()
        ending = Ending.failed(_CANCELLED)
        try:
            ending = Ending.completed(await attempts())
        except AdapterError as error:
            ending = Ending.failed(error)
        except Exception:
            ending = Ending.failed(_BUG)
            raise
        finally:
            duration_ms = round((self._clock.monotonic() - began) * 1_000, 3)
            self._runs.reached(Checkpoint.ANSWERED)
            execution = await self._records.end(execution, ending, attempts, duration_ms)
            self._runs.reached(Checkpoint.ENDED)
        return execution


def _beginning(
    runnable: RunnableProgram,
    adapter: Adapter,
    wanted: ProgramExecutionInput,
    inputs: Mapping[str, Any],
) -> dict[str, Any]:
    program, signature = runnable.program, runnable.signature
    return {
        "program_id": program.id,
        "program_name": program.name,
        "program_revision": runnable.at.revision,
        "signature_id": signature.id,
        "signature_name": signature.name,
        "signature_version": signature.version,
        "adapter_type": adapter.kind,
        "inputs": inputs,
        "execution_options": wanted.options.as_document(),
        "metadata": wanted.metadata,
        "request_id": wanted.request_id,
    }


def _validated(runnable: RunnableProgram, inputs: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return runnable.compiled.validate_inputs(inputs)
    except ValuesError as error:
        faults = [fault.under("/inputs") for fault in error.faults]
        message = f"The inputs do not fit {runnable.signature.name}."
        raise InvalidInputsError(message, faults=faults) from None
