"""The errors that clients can see; everything else that climbs out of an action is a bug.

DspatchError
├── RequestError                  what came is not what the contract asks for
│   ├── MalformedRequestError     400
│   ├── MalformedBodyError        400
│   ├── MalformedQueryError       400
│   ├── RequestTimeoutError       408
│   ├── PayloadTooLargeError      413
│   ├── UnsupportedMediaTypeError 415
│   ├── MisdirectedRequestError   421
│   ├── HeadTooLargeError         431
│   ├── InvalidRequestError       422
│   ├── InvalidSignatureError     422
│   ├── InvalidStateError         422
│   ├── InvalidInputsError        422
│   └── IdempotencyKeyReusedError 422
├── UnauthorizedError             401
├── ForbiddenError                403
├── NotFoundError                 404
│   ├── SignatureNotFoundError
│   ├── ProgramNotFoundError
│   ├── RevisionNotFoundError
│   ├── ExecutionNotFoundError
│   ├── AdapterNotFoundError
│   ├── BatchNotFoundError
│   └── DeliveryNotFoundError
├── ConflictError                 409
│   ├── NameTakenError
│   ├── ProgramNotReadyError
│   ├── SignatureDeprecatedError
│   ├── SignatureInUseError
│   ├── StateUnavailableError
│   ├── InvalidTransitionError
│   └── NothingToRetryError
├── ExecutionError                the record stands, and says the same
│   ├── ExecutionCancelledError   409
│   ├── ExecutionFailedError      502
│   ├── BackendUnavailableError   503
│   └── ExecutionTimedOutError    504
├── AdapterUnavailableError       503
├── DatabaseUnavailableError      503
├── NoRoomError                   503
├── ServerBusyError               503
└── ShuttingDownError             503
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

_PROBLEM_MEMBERS = frozenset({"type", "title", "status", "detail", "instance"})


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a request: `path` is a JSON Pointer, `code` a stable word."""

    path: str
    code: str
    message: str
    expected: str | None = None
    received: str | None = None

    def under(self, prefix: str) -> "Fault":
        """Give the same fault seen from further out: its path begins with `prefix`."""
        return Fault(prefix + self.path, self.code, self.message, self.expected, self.received)

    def as_document(self) -> dict[str, str]:
        """Give the fault as problems and records hold it."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class DspatchError(Exception):
    """An error with a place in the HTTP contract; `members` extend the problem document."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong"

    def __init__(
        self,
        detail: str,
        *,
        faults: Sequence[Fault] = (),
        retry_after_s: float | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.faults = tuple(faults)
        self.retry_after_s = retry_after_s
        self.members = dict(members or {})
        clash = _PROBLEM_MEMBERS & self.members.keys()
        if clash:
            raise ValueError(f"a problem's own members cannot be extended: {sorted(clash)}")

    @classmethod
    def slug(cls) -> str:
        """Name the problem type after the class: `ProgramNotReadyError` is `program-not-ready`."""
        words = re.findall(r"[A-Z][a-z]+", cls.__name__.removesuffix("Error"))
        return "-".join(word.lower() for word in words)


class RequestError(DspatchError):
    """The request is not one that the contract describes."""


class MalformedRequestError(RequestError):
    """What came over the connection is not HTTP/1.1 as its standard says; it was closed."""

    status = 400
    title = "The request is not HTTP"


class RequestTimeoutError(RequestError):
    """The headers did not come in time, or the body too slowly; the connection was closed."""

    status = 408
    title = "The request came too slowly"


class MisdirectedRequestError(RequestError):
    """The `Host` is none of those that the operator has this server answer to."""

    status = 421
    title = "The host is not served here"


class HeadTooLargeError(RequestError):
    """Path and headers are longer than the operator's limit; the connection was closed."""

    status = 431
    title = "The headers are too large"


class MalformedBodyError(RequestError):
    """The body is not JSON in UTF-8. NaN and Infinity are no JSON."""

    status = 400
    title = "The body is not well-formed JSON"


class MalformedQueryError(RequestError):
    """The query string is not UTF-8 once its percent signs are read."""

    status = 400
    title = "The query is not UTF-8"


class PayloadTooLargeError(RequestError):
    """The body is longer than the operator's limit; it was not read to its end."""

    status = 413
    title = "The body is too large"


class UnsupportedMediaTypeError(RequestError):
    """The body's media type is not one that this call takes."""

    status = 415
    title = "This media type is not supported"


class InvalidRequestError(RequestError):
    """Members, parameters or headers do not fit the contract; `errors` names each place."""

    status = 422
    title = "The request is not valid"


class InvalidSignatureError(RequestError):
    """The fields of the signature cannot be taken; `errors` names every fault at once."""

    status = 422
    title = "The signature is not valid"


class IdempotencyKeyReusedError(RequestError):
    """The key was used for another request by the same caller, less than a day ago."""

    status = 422
    title = "The idempotency key was used before"


class InvalidStateError(RequestError):
    """The compiled state does not fit the program's module and signature; `errors` names all."""

    status = 422
    title = "The state is not valid"


class InvalidInputsError(RequestError):
    """The inputs do not fit the program's signature; nothing ran and nothing was recorded."""

    status = 422
    title = "The inputs are not valid"


class UnauthorizedError(DspatchError):
    """The call needs a key, and got none that is known, neither expired nor revoked.

    A key is sent as `Authorization: Bearer dsp_…`. Nothing of the body was read.
    """

    status = 401
    title = "A valid key is needed"


class ForbiddenError(DspatchError):
    """The key is valid, but has none of the scopes that the call needs."""

    status = 403
    title = "The key does not allow this"


class NotFoundError(DspatchError):
    """There is nothing at this address."""

    status = 404
    title = "Not found"


class SignatureNotFoundError(NotFoundError):
    """No signature has this id."""

    title = "No such signature"


class ProgramNotFoundError(NotFoundError):
    """No program has this id."""

    title = "No such program"


class RevisionNotFoundError(NotFoundError):
    """The program never had this revision."""

    title = "No such revision"


class ExecutionNotFoundError(NotFoundError):
    """No execution has this id."""

    title = "No such execution"


class AdapterNotFoundError(NotFoundError):
    """The settings have no adapter of this name."""

    title = "No such adapter"


class BatchNotFoundError(NotFoundError):
    """No batch has this id."""

    title = "No such batch"


class DeliveryNotFoundError(NotFoundError):
    """The batch has no delivery of this id; of its progress the newest ones are kept."""

    title = "No such delivery"


class ConflictError(DspatchError):
    """The request is sound, but not in this state of things."""

    status = 409
    title = "Conflict"


class NameTakenError(ConflictError):
    """Another program that is not archived has this name."""

    title = "The name is taken"


class ProgramNotReadyError(ConflictError):
    """The program cannot run: `program_status` says where it stands, `program_error` why."""

    title = "The program is not ready"


class SignatureDeprecatedError(ConflictError):
    """A deprecated signature takes no new programs; those that stand on it run on."""

    title = "The signature is deprecated"


class SignatureInUseError(ConflictError):
    """Programs stand on the signature, archived ones too: their history needs it."""

    title = "The signature is in use"


class StateUnavailableError(ConflictError):
    """The program's module cannot be built, so that nobody can say what its state holds."""

    title = "The state is not available"


class InvalidTransitionError(ConflictError):
    """The resource's status does not allow this move."""

    title = "The status does not allow this"


class NothingToRetryError(ConflictError):
    """Every item of the batch is completed: there is nothing that could run again."""

    title = "There is nothing to retry"


class ExecutionError(DspatchError):
    """The execution was recorded and did not complete: see `execution_id` and `error`."""


class ExecutionCancelledError(ExecutionError):
    """The execution was cancelled before it ended."""

    status = 409
    title = "The execution was cancelled"


class ExecutionFailedError(ExecutionError):
    """The back-end refused or failed, or what it said does not fit the signature's outputs."""

    status = 502
    title = "The execution failed"


class BackendUnavailableError(ExecutionError):
    """No back-end could be reached, or all of them asked to wait: try again after `Retry-After`."""

    status = 503
    title = "The back-end is not available"


class ExecutionTimedOutError(ExecutionError):
    """No attempt answered within its timeout and the deadline of the whole."""

    status = 504
    title = "The execution timed out"


class AdapterUnavailableError(DspatchError):
    """The adapter could not be asked, or failed to answer: try again after `Retry-After`."""

    status = 503
    title = "The adapter is not available"


class DatabaseUnavailableError(DspatchError):
    """The database does not answer: try again after `Retry-After`.

    Nothing was accepted, unless the problem names an `execution_id`: that one has run, and its
    record is written when the database is back.
    """

    status = 503
    title = "The database is not available"


class NoRoomError(DspatchError):
    """The server's disk is full, so that nothing large can be taken in: try again later."""

    status = 503
    title = "There is no room"


class ServerBusyError(DspatchError):
    """The server has as many connections or requests as it takes: try again after `Retry-After`.

    Nothing of the request was done.
    """

    status = 503
    title = "The server is busy"


class ShuttingDownError(DspatchError):
    """The process ended before the request did; another one answers after `Retry-After`.

    An execution that ran for it has been recorded as `cancelled`: the same `Idempotency-Key` is
    told so from then on (409), a new one runs it again.
    """

    status = 503
    title = "The server is shutting down"
