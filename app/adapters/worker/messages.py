"""What parent and child say to each other; anything else breaks the protocol."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias, TypeVar
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from app.adapters.base import Repair
from app.adapters.errors import ErrorType
from app.adapters.json_values import MAX_DEPTH
from app.adapters.usage import Usage
from app.adapters.worker.frames import ProtocolError
from app.policies.limiter import Priority
from app.policies.limits import Limits

MESSAGE_DEPTH = MAX_DEPTH + 8
"""How deep a message may be nested: its values, and what they stand in."""

Document: TypeAlias = dict[str, Any]
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _not_negative(usage: Usage) -> Usage:
    if min(vars(usage).values()) < 0:
        raise ValueError("usage below nothing")
    return usage


def _known(outcome: str) -> str:
    if outcome not in OUTCOMES:
        raise ValueError("no outcome of an LM's call")
    return outcome


OUTCOMES = frozenset({"success", *map(str, ErrorType)})
Outcome = Annotated[str, AfterValidator(_known)]
Spending = Annotated[Usage, AfterValidator(_not_negative)]


@dataclass(frozen=True)
class ProgramDocument:
    """A program as it travels."""

    program_id: UUID
    revision: int
    name: str
    module: str
    inputs: tuple[Document, ...]
    outputs: tuple[Document, ...]
    instructions: str
    config: Document
    state: Document | None


@dataclass(frozen=True)
class Start:
    """First to a child: which kind of adapter runs its programs, and on which LMs."""

    runs: str
    name: str
    lms: dict[str, Document]
    kind: Literal["start"] = "start"


@dataclass(frozen=True)
class Limit:
    """Ask no more of the LMs than this from now on; not answered."""

    lms: dict[str, Limits]
    kind: Literal["limit"] = "limit"


@dataclass(frozen=True)
class Hold:
    """Keep a program at hand; not answered."""

    program: ProgramDocument
    kind: Literal["hold"] = "hold"


@dataclass(frozen=True)
class Forget:
    """Drop a revision of a program; not answered."""

    program_id: UUID
    revision: int
    kind: Literal["forget"] = "forget"


@dataclass(frozen=True)
class Prepare:
    """Make a program that is held ready to run: answered by `Prepared` or `Failure`."""

    id: int
    program_id: UUID
    revision: int
    kind: Literal["prepare"] = "prepare"


@dataclass(frozen=True)
class Execute:
    """Run a program that is held: answered by `Result` or `Failure`."""

    id: int
    program_id: UUID
    revision: int
    inputs: Document
    config: Document
    attempt: int
    repair: Repair | None
    is_traced: bool
    priority: Priority = Priority.INTERACTIVE
    seconds: Seconds | None = None
    """How long it may take; null is without limit."""
    has_substitute: bool = False
    kind: Literal["execute"] = "execute"


@dataclass(frozen=True)
class Cancel:
    """Stop what was asked under this id, and answer it all the same."""

    id: int
    kind: Literal["cancel"] = "cancel"


@dataclass(frozen=True)
class Ping:
    """Say how you are: answered by `Pong` or `Failure`."""

    id: int
    kind: Literal["ping"] = "ping"


@dataclass(frozen=True)
class Hello:
    """First from a child: everything is imported, programs may come."""

    kind: Literal["hello"] = "hello"


@dataclass(frozen=True)
class Prepared:
    """The program is ready."""

    id: int
    kind: Literal["prepared"] = "prepared"


@dataclass(frozen=True)
class Result:
    """What a program gave."""

    id: int
    outputs: Document
    raw_output: Any
    usage: Spending
    details: Document | None
    trace: tuple[Document, ...] = ()
    waited_s: Seconds = 0.0
    """How long of its time it stood in the lines of LMs."""
    kind: Literal["result"] = "result"


@dataclass(frozen=True)
class Failure:
    """What went wrong, in the adapters' vocabulary; a cancelled call ends so, too."""

    id: int
    type: ErrorType
    message: str
    context: Document
    retry_after: Seconds | None
    raw_output: Any
    usage: Spending
    trace: tuple[Document, ...] = ()
    waited_s: Seconds = 0.0
    kind: Literal["failure"] = "failure"


@dataclass(frozen=True)
class Pong:
    """How the child's adapter is."""

    id: int
    healthy: bool
    latency_ms: Seconds
    error: str | None
    kind: Literal["pong"] = "pong"


@dataclass(frozen=True)
class Spent:
    """An LM was asked, for the call of this id where it still runs."""

    id: int
    lm: str
    outcome: Outcome
    prompt_tokens: Count
    completion_tokens: Count
    kind: Literal["spent"] = "spent"


Question: TypeAlias = Prepare | Execute | Ping
Answer: TypeAlias = Prepared | Result | Failure | Pong
FromParent: TypeAlias = Start | Limit | Hold | Forget | Prepare | Execute | Cancel | Ping
FromChild: TypeAlias = Hello | Prepared | Result | Failure | Pong | Spent
Message = TypeVar("Message")

_CONFIG = ConfigDict(strict=True, extra="forbid")
_FROM_PARENT: TypeAdapter[FromParent] = TypeAdapter(
    Annotated[FromParent, Field(discriminator="kind")], config=_CONFIG
)
_FROM_CHILD: TypeAdapter[FromChild] = TypeAdapter(
    Annotated[FromChild, Field(discriminator="kind")], config=_CONFIG
)


def write(message: FromParent | FromChild) -> bytes:
    """Write a message as JSON, whole numbers of any size; ValueError where JSON cannot hold it."""
    return to_json(message, inf_nan_mode="constants")


def read_from_parent(payload: bytes) -> FromParent:
    """Read what a child is told; ProtocolError where it is no message of a parent."""
    return _read(_FROM_PARENT.validate_json, payload)


def read_from_child(payload: bytes) -> FromChild:
    """Read what a parent is told; ProtocolError where it is no message of a child."""
    return _read(_FROM_CHILD.validate_json, payload)


def _read(validate: Callable[[bytes], Message], payload: bytes) -> Message:
    try:
        message = validate(payload)
    except ValidationError as error:
        # Its text quotes the message, which may hold anything.
        faults = {fault["type"] for fault in error.errors(include_input=False)}
        raise ProtocolError(f"no message: {', '.join(sorted(faults))}") from None
    if _is_deeper(payload, MESSAGE_DEPTH):
        raise ProtocolError(f"a message nested deeper than {MESSAGE_DEPTH}")
    return message


def _is_deeper(payload: bytes, depth: int) -> bool:
    """Tell whether values nest deeper; most messages have not even so many brackets."""
    if payload.count(b"[") + payload.count(b"{") <= depth:
        return False
    level = [from_json(payload)]
    while level and depth >= 0:
        level, depth = [item for value in level for item in _items(value)], depth - 1
    return bool(level)


def _items(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
