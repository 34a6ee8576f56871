"""The one vocabulary in which every adapter says what went wrong (mission, section 6)."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from app.adapters.usage import Usage


class ErrorType(StrEnum):
    """What went wrong, as the record and the problem document say it."""

    TIMEOUT = "timeout"
    """No answer within the attempt's timeout."""
    CONNECTION_FAILED = "connection_failed"
    """The back-end could not be reached, or the connection broke."""
    BACKEND_ERROR = "backend_error"
    """The back-end failed, or its answer is not the protocol's."""
    RATE_LIMITED = "rate_limited"
    """The back-end asks for fewer calls."""
    OVERLOADED = "overloaded"
    """The back-end has no capacity now."""
    AUTHENTICATION = "authentication"
    """The back-end refused the operator's credentials."""
    INVALID_REQUEST = "invalid_request"
    """The back-end refused the request as it stands."""
    CONTEXT_WINDOW_EXCEEDED = "context_window_exceeded"
    """The prompt is longer than the model's window."""
    VALIDATION_FAILED = "validation_failed"
    """The inputs do not fit the signature."""
    OUTPUT_INVALID = "output_invalid"
    """What the model said does not fit the signature's outputs."""
    PROGRAM_NOT_FOUND = "program_not_found"
    """The adapter does not know the program."""
    WORKER_CRASHED = "worker_crashed"
    """The process that ran the program died."""
    UNSUPPORTED = "unsupported"
    """The adapter cannot do what the program asks for."""
    CANCELLED = "cancelled"
    """The call was cancelled."""
    UNEXPECTED = "unexpected"
    """Something that the adapter has no word for."""


RECOVERABLE = frozenset(
    {
        ErrorType.TIMEOUT,
        ErrorType.CONNECTION_FAILED,
        ErrorType.BACKEND_ERROR,
        ErrorType.RATE_LIMITED,
        ErrorType.OVERLOADED,
        ErrorType.WORKER_CRASHED,
    }
)
"""The types that are worth another attempt (mission section 3, step 4)."""


class AdapterError(Exception):
    """A failed call of an adapter; `retry_after` is in seconds, `usage` what it cost all the same.

    `raw_output` is what the model said, where that is what was wrong.
    """

    def __init__(
        self,
        error_type: ErrorType,
        message: str,
        *,
        context: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
        raw_output: Any = None,
        usage: Usage | None = None,
    ) -> None:
        super().__init__(message)
        self.type = error_type
        self.message = message
        self.context = dict(context or {})
        self.retry_after = retry_after
        self.raw_output = raw_output
        self.usage = usage or Usage()

    @property
    def recoverable(self) -> bool:
        """Whether another attempt may succeed."""
        return self.type in RECOVERABLE

    def bare(self, usage: Usage | None = None) -> "AdapterError":
        """Give the same error, maybe with another cost, but not the frames that it climbed through.

        They hold what was sent and what came back, which may be megabytes. What is added to the
        context of one is in the other's.
        """
        bare = AdapterError(
            self.type,
            self.message,
            retry_after=self.retry_after,
            raw_output=self.raw_output,
            usage=self.usage if usage is None else usage,
        )
        bare.context = self.context
        return bare

    def as_document(self) -> dict[str, Any]:
        """Give the error as records and problems hold it."""
        return {
            "type": self.type.value,
            "message": self.message,
            "context": self.context,
            "recoverable": self.recoverable,
            "retry_after": self.retry_after,
        }
