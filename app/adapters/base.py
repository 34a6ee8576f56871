"""The seam behind which programs run: what an adapter is given, what it gives back, what it can do.

Every operation raises `app.adapters.errors.AdapterError` and nothing else; a call may be cancelled
at any await and leaves nothing running behind.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable
from uuid import UUID

from app.adapters.attempt import Attempt
from app.adapters.lm_limits import LMParts
from app.adapters.usage import Usage
from app.policies.clock import SystemClock
from app.policies.deadline import Deadline
from app.policies.limiter import Priority
from app.signatures.definition import SignatureDefinition
from app.signatures.states import ModuleShape

UNBOUNDED = Deadline(SystemClock(), math.inf)


@dataclass(frozen=True)
class Program:
    """A program as adapters see it: one revision, complete in itself."""

    program_id: UUID
    revision: int
    name: str
    module: str
    signature: SignatureDefinition
    config: Mapping[str, Any] = field(default_factory=dict)
    state: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Repair:
    """Why the model is asked again: what it said last, and each fault of it in a sentence."""

    raw_output: Any
    faults: tuple[str, ...]


@dataclass(frozen=True)
class ProgramCall:
    """One call of a program; `inputs` are validated, `config` are LM parameters of this call.

    With a `repair` the model is told of its faults; an adapter that cannot tell it asks as ever.
    Where `trace` is a list, each LM call is appended to it as it ends:
    `{predictor, lm, messages, completion, usage, duration_ms}`. What the call spends is added to
    `told` at once, since a call that is stopped has no result. `timeout_s` is the longest that one
    call of a back-end may take, `deadline` the end of all of them: the caller stops the call then.
    A call that `has_substitute` is refused where it would have to stand in a line: another back-end
    is asked in place of this one.
    """

    program: Program
    inputs: Mapping[str, Any]
    config: Mapping[str, Any] = field(default_factory=dict)
    attempt: int = 1
    repair: Repair | None = None
    trace: list[Mapping[str, Any]] | None = None
    told: Attempt = field(default_factory=Attempt)
    timeout_s: float = math.inf
    deadline: Deadline = UNBOUNDED
    priority: Priority = Priority.INTERACTIVE
    has_substitute: bool = False

    @property
    def seconds(self) -> float:
        """How long one call of a back-end may take from now."""
        return self.deadline.cap(self.timeout_s)


@dataclass(frozen=True)
class ProgramResult:
    """What a call gave; `outputs` are not validated yet, `raw_output` is what the model said."""

    outputs: Mapping[str, Any]
    adapter: str
    raw_output: Any = None
    usage: Usage = field(default_factory=Usage)
    details: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class ProgramInfo:
    """A program that an adapter holds prepared."""

    program_id: UUID
    revision: int
    name: str


@dataclass(frozen=True)
class AdapterHealth:
    """Whether an adapter could run programs now; `error` says why not."""

    healthy: bool
    latency_ms: float
    error: str | None = None


@dataclass(frozen=True)
class AdapterStats:
    """Counts since the adapter was started."""

    programs: int
    in_flight: int
    calls: int
    failures: int


REQUIRED = (
    "create_program",
    "execute_program",
    "list_programs",
    "delete_program",
    "get_program_info",
    "validate_signature",
    "health_check",
    "get_stats",
    "cleanup",
)
"""The operations that every adapter has to have."""

OPERATIONS = (*REQUIRED, "convert_signature", "module_shape", "warm_up")
"""Every operation that there is; those beyond the required ones have a protocol each, below."""


@runtime_checkable
class Adapter(Protocol):
    """A back-end that can run programs. `name` is the operator's, `kind` the implementation's."""

    @property
    def name(self) -> str:
        """The name under which programs ask for it."""
        ...

    @property
    def kind(self) -> str:
        """The kind of back-end, a key of the registry."""
        ...

    async def create_program(self, program: Program) -> None:
        """Prepare a program; the same id again replaces what was held."""
        ...

    async def execute_program(self, call: ProgramCall) -> ProgramResult:
        """Run a program, preparing it first where it is not held at this revision."""
        ...

    async def list_programs(self) -> Sequence[ProgramInfo]:
        """List the programs that are held prepared."""
        ...

    async def delete_program(self, program_id: UUID) -> bool:
        """Forget a program; False where it was not held."""
        ...

    async def get_program_info(self, program_id: UUID) -> ProgramInfo:
        """Say what is held of a program; `program_not_found` where nothing is."""
        ...

    async def validate_signature(self, signature: SignatureDefinition) -> None:
        """Raise `unsupported` where programs on this signature could not run here."""
        ...

    async def health_check(self) -> AdapterHealth:
        """Say whether the back-end could run programs now; never raises."""
        ...

    async def get_stats(self) -> AdapterStats:
        """Count what the adapter did since it was started."""
        ...

    async def cleanup(self) -> None:
        """Give everything back; the adapter is not used afterwards."""
        ...


@runtime_checkable
class Combines(Protocol):
    """An adapter made of others: it calls them by `app.adapters.calling`, each in its own time."""

    @property
    def members(self) -> Sequence[Adapter]:
        """The adapters that it calls, in order."""
        ...


def members_of(adapter: Adapter) -> Sequence[Adapter]:
    """Give the adapters that an adapter is made of; none where it is a back-end itself."""
    members: Sequence[Adapter] = getattr(adapter, "members", ())  # ten times as fast as isinstance
    return members


@runtime_checkable
class HasChildren(Protocol):
    """An adapter whose programs run in processes of its own, which share the limits of LMs."""

    def lm_children(self) -> Mapping[str, int]:
        """Say how many of them hold a program of an LM, by the names of the LMs."""
        ...

    def limit_children(self, parts: LMParts) -> None:
        """Have each of them ask no more of the LMs than this."""
        ...


@runtime_checkable
class ConvertsSignatures(Protocol):
    """An adapter that has a form of its own for signatures, and can tell what that form holds."""

    async def convert_signature(self, signature: SignatureDefinition) -> SignatureDefinition:
        """Give the signature as it comes back out of the adapter's own form."""
        ...


@runtime_checkable
class WarmsUp(Protocol):
    """An adapter whose first call would wait for something that can be done before."""

    async def warm_up(self) -> None:
        """Do it now; never raises."""
        ...


@runtime_checkable
class KnowsModules(Protocol):
    """An adapter that builds modules itself, and so knows what their compiled state holds."""

    async def module_shape(self, program: Program) -> ModuleShape:
        """Say what a program's state holds; `unsupported` where its module cannot be built."""
        ...
