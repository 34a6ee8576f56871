"""How an execution ends: what the record says, and what the client is told."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.adapters.base import ProgramResult
from app.adapters.errors import AdapterError, ErrorType
from app.errors import (
    BackendUnavailableError,
    ExecutionCancelledError,
    ExecutionError,
    ExecutionFailedError,
    ExecutionTimedOutError,
)
from app.models import Execution
from app.models.states import ExecutionStatus, Outcome

DEFAULT_RETRY_AFTER_S = 1.0

_NO_REASON = AdapterError(ErrorType.CANCELLED, "The execution was ended from outside.")

_OUTCOMES: Mapping[ErrorType, Outcome] = {
    ErrorType.OUTPUT_INVALID: Outcome.VALIDATION_ERROR,
    ErrorType.TIMEOUT: Outcome.TIMEOUT,
    ErrorType.CANCELLED: Outcome.CANCELLED,
    ErrorType.UNEXPECTED: Outcome.EXCEPTION,
}
"""Every other type is an `execution_error`."""

_PROBLEMS: Mapping[ErrorType, type[ExecutionError]] = {
    ErrorType.TIMEOUT: ExecutionTimedOutError,
    ErrorType.CONNECTION_FAILED: BackendUnavailableError,
    ErrorType.RATE_LIMITED: BackendUnavailableError,
    ErrorType.OVERLOADED: BackendUnavailableError,
    ErrorType.CANCELLED: ExecutionCancelledError,
}
"""Every other type is an ExecutionFailedError."""


@dataclass(frozen=True)
class Ending:
    """The end of an execution, as its record will hold it."""

    status: ExecutionStatus
    outcome: Outcome
    adapter: str | None = None
    outputs: Mapping[str, Any] | None = None
    raw_output: Any = None
    error: Mapping[str, Any] | None = None
    details: Mapping[str, Any] | None = None

    @classmethod
    def completed(cls, result: ProgramResult) -> "Ending":
        """End with outputs that fit the signature."""
        return cls(
            ExecutionStatus.COMPLETED,
            Outcome.SUCCESS,
            adapter=result.adapter,
            outputs=result.outputs,
            details=result.details,
        )

    @classmethod
    def failed(cls, error: AdapterError) -> "Ending":
        """End as the last attempt's error says."""
        is_cancelled = error.type is ErrorType.CANCELLED
        return cls(
            ExecutionStatus.CANCELLED if is_cancelled else ExecutionStatus.FAILED,
            _OUTCOMES.get(error.type, Outcome.EXECUTION_ERROR),
            raw_output=error.raw_output,
            error=error.as_document(),
        )


def problem_of(execution: Execution) -> ExecutionError:
    """Tell the client of an execution that did not complete what its record says."""
    error = execution.error or _NO_REASON.as_document()
    problem = _PROBLEMS.get(ErrorType(error["type"]), ExecutionFailedError)
    is_worth_waiting = problem is BackendUnavailableError
    wait_s = error["retry_after"] or DEFAULT_RETRY_AFTER_S
    return problem(
        error["message"],
        retry_after_s=wait_s if is_worth_waiting else None,
        members={"execution_id": str(execution.id), "error": error},
    )
