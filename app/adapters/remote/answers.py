"""What another Dspatch answered, in the vocabulary of adapters."""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.adapters.errors import AdapterError, ErrorType
from app.adapters.redaction import quote
from app.adapters.remote.client import Answer
from app.adapters.retry_after import retry_after_s
from app.adapters.usage import Usage

BY_PROBLEM: Mapping[str, ErrorType] = {
    "/problems/invalid-inputs": ErrorType.VALIDATION_FAILED,
    "/problems/program-not-found": ErrorType.PROGRAM_NOT_FOUND,
    "/problems/program-not-ready": ErrorType.PROGRAM_NOT_FOUND,
}
"""Problems that say more than their status; those of executions name their error themselves."""

BY_STATUS: Mapping[int, ErrorType] = {
    401: ErrorType.AUTHENTICATION,
    403: ErrorType.AUTHENTICATION,
    408: ErrorType.TIMEOUT,
    413: ErrorType.INVALID_REQUEST,
    429: ErrorType.RATE_LIMITED,
    503: ErrorType.OVERLOADED,
    529: ErrorType.OVERLOADED,
}


class Document(BaseModel):
    """Part of an answer: strict in what it needs, blind to the rest, which later versions add."""

    model_config = ConfigDict(frozen=True, strict=True)


class UsageDocument(Document):
    """What an execution cost there."""

    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(ge=0)
    total_tokens: int = Field(ge=0)
    lm_calls: int = Field(ge=0)

    def as_usage(self) -> Usage:
        """Give it as adapters count."""
        return Usage(**self.model_dump())


class ErrorDocument(Document):
    """The error of an execution."""

    type: str
    message: str
    context: dict[str, Any] = Field(default_factory=dict)
    retry_after: float | None = Field(default=None, ge=0)

    def as_error(self) -> AdapterError:
        """Give it one to one; a type that is not known here is unexpected.

        A breaker is one of theirs, not of ours.
        """
        is_known = self.type in list(ErrorType)
        theirs = {"remote_breaker": self.context["breaker"]} if "breaker" in self.context else {}
        return AdapterError(
            ErrorType(self.type) if is_known else ErrorType.UNEXPECTED,
            self.message,
            context={name: of for name, of in self.context.items() if name != "breaker"} | theirs,
            retry_after=self.retry_after,
        )


class FaultDocument(Document):
    """One thing wrong with a request."""

    path: str
    message: str


class Problem(Document):
    """An error as RFC 9457 writes it, and what executions add."""

    type: str = ""
    detail: str = ""
    errors: list[FaultDocument] = Field(default_factory=list)
    execution_id: str | None = None
    error: ErrorDocument | None = None

    @property
    def words(self) -> str:
        """What it says, and each fault."""
        return "; ".join(
            [self.detail, *(f"{fault.path}: {fault.message}" for fault in self.errors)]
        )


class ExecutionDocument(Document):
    """The record of an execution."""

    execution_id: str
    outputs: dict[str, Any] | None = None
    raw_output: Any = None
    details: dict[str, Any] | None = None
    usage: UsageDocument | None = None
    request_id: str | None = None

    @property
    def spent(self) -> Usage:
        """What it cost, as far as it tells."""
        return Usage() if self.usage is None else self.usage.as_usage()


class ProgramDocument(Document):
    """A program there."""

    program_id: str
    name: str
    status: str
    error: str | None = None


Model = TypeVar("Model", bound=Document)


def read(answer: Answer, model: type[Model]) -> Model:
    """Read an answer that went well; `backend_error` where it is not what it should be."""
    if answer.fault is not None:
        raise AdapterError(
            ErrorType.BACKEND_ERROR, f"the remote Dspatch's answer cannot be read: {answer.fault}"
        )
    return parse(answer.document, model)


def parse(document: Any, model: type[Model]) -> Model:
    """Read part of an answer; `backend_error` where it is not what it should be."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        where = ", ".join(sorted({".".join(map(str, of["loc"])) for of in error.errors()}))
        raise AdapterError(
            ErrorType.BACKEND_ERROR, f"the remote Dspatch's answer lacks its form: {where}"
        ) from None


def is_good(answer: Answer) -> bool:
    """Tell an answer that went well."""
    return HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES


def problem_of(answer: Answer) -> Problem:
    """Read an answer that went ill; an empty problem where it is not one of a Dspatch."""
    try:
        return Problem.model_validate(answer.document)
    except ValidationError:
        return Problem()


def refusal(answer: Answer, now: datetime) -> AdapterError:
    """Say what an answer that went ill means."""
    problem = problem_of(answer)
    if problem.error is not None:
        return problem.error.as_error()
    said = quote(problem.words)
    return AdapterError(
        _meaning(answer.status, problem),
        f"the remote Dspatch answers {answer.status}" + (f": {said}" if said else ""),
        context={"status": answer.status},
        retry_after=retry_after_s(answer.headers, now),
    )


def _meaning(status: int, problem: Problem) -> ErrorType:
    found = BY_PROBLEM.get(problem.type) or BY_STATUS.get(status)
    if found is not None:
        return found
    is_ours = problem.type.startswith("/problems/")  # else it comes from something in between
    if is_ours and HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return ErrorType.INVALID_REQUEST
    return ErrorType.BACKEND_ERROR
