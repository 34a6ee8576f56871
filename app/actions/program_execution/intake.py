"""What is asked of every execution before anything of it is recorded."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.actions.program_catalogue import ProgramCatalogue, RunnableProgram
from app.actions.program_execution.options import ExecutionOptions
from app.adapters.guarded import GuardedAdapter
from app.adapters.registry import AdapterRegistry
from app.errors import InvalidInputsError
from app.models.idempotency_keys import Claim
from app.signatures.compile import ValuesError


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


@dataclass(frozen=True)
class Wanted:
    """A run that can be: the program, its adapter, and inputs that fit."""

    runnable: RunnableProgram
    adapter: GuardedAdapter
    inputs: Mapping[str, Any]
    asked: ProgramExecutionInput

    def beginning(self) -> dict[str, Any]:
        """Give what the record holds from its beginning."""
        return {
            **self.runnable.columns(self.adapter),
            "inputs": self.inputs,
            "execution_options": self.asked.options.as_document(),
            "metadata": self.asked.metadata,
            "request_id": self.asked.request_id,
        }


class Intake:
    """Takes what can be run, and refuses the rest."""

    def __init__(self, catalogue: ProgramCatalogue, adapters: AdapterRegistry) -> None:
        self._catalogue = catalogue
        self._adapters = adapters

    async def __call__(self, asked: ProgramExecutionInput) -> Wanted:
        """Find the program and validate the inputs.

        Raises ProgramNotFoundError, RevisionNotFoundError, ProgramNotReadyError and
        InvalidInputsError.
        """
        runnable = await self._catalogue.recall(asked.program_id, asked.revision)
        adapter = runnable.ready_adapter(self._adapters)
        return Wanted(runnable, adapter, _validated(runnable, asked.inputs), asked)


def _validated(runnable: RunnableProgram, inputs: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return runnable.compiled.validate_inputs(inputs)
    except ValuesError as error:
        faults = [fault.under("/inputs") for fault in error.faults]
        message = f"The inputs do not fit {runnable.signature.name}."
        raise InvalidInputsError(message, faults=faults) from None
