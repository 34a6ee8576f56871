"""The states of things and who may follow whom; the guards of the stores read this table."""

from collections.abc import Mapping
from enum import StrEnum


class SignatureStatus(StrEnum):
    """The life of a signature."""

    DRAFT = "draft"
    """Registered; programs may use it."""
    ACTIVE = "active"
    """Declared fit for production; programs may use it."""
    DEPRECATED = "deprecated"
    """Takes no new programs; those that stand on it run on."""


class ProgramStatus(StrEnum):
    """The life of a program."""

    DRAFT = "draft"
    """Registered, not prepared yet."""
    INITIALIZING = "initializing"
    """Its adapter prepares it."""
    READY = "ready"
    """May be executed."""
    ERROR = "error"
    """Its adapter refused it; the program's `error` says why."""
    ARCHIVED = "archived"
    """Retired; its executions stay readable."""


class ExecutionStatus(StrEnum):
    """The life of an execution."""

    PENDING = "pending"
    """Accepted, waiting to be claimed; again, where its process has given it back or died."""
    RUNNING = "running"
    """On its adapter."""
    COMPLETED = "completed"
    """Ended with outputs that fit the signature."""
    FAILED = "failed"
    """Ended without; `error` says why."""
    CANCELLED = "cancelled"
    """Ended because somebody said so, or because nobody waited any more."""


class BatchStatus(StrEnum):
    """The life of a batch."""

    PENDING = "pending"
    """Accepted; no item has been handed out."""
    RUNNING = "running"
    """Its items are handed out and run."""
    PAUSED = "paused"
    """No item is handed out; what was, runs to its end."""
    COMPLETED = "completed"
    """Every item has ended, whatever its outcome."""
    FAILED = "failed"
    """It stopped before all had run; `error` says why."""
    CANCELLED = "cancelled"
    """Stopped because somebody said so."""


class DeliveryStatus(StrEnum):
    """The life of a webhook's delivery."""

    PENDING = "pending"
    """Waits for its first attempt, or for another."""
    DELIVERED = "delivered"
    """The receiver has taken it."""
    FAILED = "failed"
    """Every attempt has failed, or the receiver may not be reached."""
    GONE = "gone"
    """The receiver wants nothing more of this batch."""
    SUPERSEDED = "superseded"
    """A progress that was not taken before the batch's end."""


class Outcome(StrEnum):
    """How an execution ended, in finer words than its status."""

    SUCCESS = "success"
    """Outputs that fit."""
    VALIDATION_ERROR = "validation_error"
    """The model answered, but not what the signature asks for."""
    EXECUTION_ERROR = "execution_error"
    """The back-end failed."""
    EXCEPTION = "exception"
    """A fault that nobody has a word for."""
    TIMEOUT = "timeout"
    """Time ran out."""
    CANCELLED = "cancelled"
    """Cancelled."""


SIGNATURE_MOVES: Mapping[SignatureStatus, frozenset[SignatureStatus]] = {
    SignatureStatus.DRAFT: frozenset({SignatureStatus.ACTIVE}),
    SignatureStatus.ACTIVE: frozenset({SignatureStatus.DEPRECATED}),
    SignatureStatus.DEPRECATED: frozenset(),
}

PROGRAM_MOVES: Mapping[ProgramStatus, frozenset[ProgramStatus]] = {
    ProgramStatus.DRAFT: frozenset({ProgramStatus.INITIALIZING, ProgramStatus.ARCHIVED}),
    ProgramStatus.INITIALIZING: frozenset(
        {ProgramStatus.READY, ProgramStatus.ERROR, ProgramStatus.ARCHIVED}
    ),
    ProgramStatus.READY: frozenset({ProgramStatus.INITIALIZING, ProgramStatus.ARCHIVED}),
    ProgramStatus.ERROR: frozenset({ProgramStatus.INITIALIZING, ProgramStatus.ARCHIVED}),
    ProgramStatus.ARCHIVED: frozenset(),
}

EXECUTION_MOVES: Mapping[ExecutionStatus, frozenset[ExecutionStatus]] = {
    ExecutionStatus.PENDING: frozenset({ExecutionStatus.RUNNING, ExecutionStatus.CANCELLED}),
    ExecutionStatus.RUNNING: frozenset(
        {
            ExecutionStatus.PENDING,
            ExecutionStatus.COMPLETED,
            ExecutionStatus.FAILED,
            ExecutionStatus.CANCELLED,
        }
    ),
    ExecutionStatus.COMPLETED: frozenset(),
    ExecutionStatus.FAILED: frozenset(),
    ExecutionStatus.CANCELLED: frozenset(),
}

BATCH_MOVES: Mapping[BatchStatus, frozenset[BatchStatus]] = {
    BatchStatus.PENDING: frozenset(BatchStatus) - {BatchStatus.PENDING},
    BatchStatus.RUNNING: frozenset(BatchStatus) - {BatchStatus.PENDING, BatchStatus.RUNNING},
    BatchStatus.PAUSED: frozenset(BatchStatus) - {BatchStatus.PENDING, BatchStatus.PAUSED},
    BatchStatus.COMPLETED: frozenset(),
    BatchStatus.FAILED: frozenset(),
    BatchStatus.CANCELLED: frozenset(),
}

LIVE_BATCH = [status for status, moves in BATCH_MOVES.items() if moves]
"""The states of batches that have not ended."""


def signature_origins(target: SignatureStatus) -> list[SignatureStatus]:
    """List the states from which a signature may become `target`."""
    return [state for state, moves in SIGNATURE_MOVES.items() if target in moves]


def program_origins(target: ProgramStatus) -> list[ProgramStatus]:
    """List the states from which a program may become `target`."""
    return [state for state, moves in PROGRAM_MOVES.items() if target in moves]


def execution_origins(target: ExecutionStatus) -> list[ExecutionStatus]:
    """List the states from which an execution may become `target`."""
    return [state for state, moves in EXECUTION_MOVES.items() if target in moves]


def batch_origins(target: BatchStatus) -> list[BatchStatus]:
    """List the states from which a batch may become `target`."""
    return [state for state, moves in BATCH_MOVES.items() if target in moves]
