"""What every category of the cleanup is given, and what it gives back."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from app.actions.batch_processing.closing import BatchClosing
from app.actions.resource_cleanup.archive import Archive
from app.adapters.registry import AdapterRegistry
from app.database import Database
from app.models.ids import Ids
from app.policies.clock import Clock
from app.processes.channel import ControlChannel
from app.settings import Settings
from app.stores.removals import Removed
from app.stores.transaction import Transaction


class CategoryName(StrEnum):
    """What is looked for."""

    ORPHANED_EXECUTIONS = "orphaned_executions"
    """Executions that dead processes left running; they end, or run again in the background."""
    STALLED_BATCHES = "stalled_batches"
    """Batches that no lane works on or waits for; they are set going again, or closed."""
    ABANDONED_UPLOADS = "abandoned_uploads"
    """Uploads of batches whose process has died; what came in of them goes."""
    UNKNOWN_PROGRAMS = "unknown_programs"
    """Programs that an adapter of this process holds, and that are not in the database."""
    UNPREPARED_PROGRAMS = "unprepared_programs"
    """Ready programs that no adapter of this process holds; they are prepared on demand."""
    STUCK_PROGRAMS = "stuck_programs"
    """Programs whose preparation was never ended; they become `error`."""
    PARTITIONS = "partitions"
    """Weeks of records: made ahead, and dropped once all of their records have expired."""
    EXPIRED_PAYLOADS = "expired_payloads"
    """What ended executions were asked and what was said, where it goes before the record."""
    EXPIRED_BATCHES = "expired_batches"
    """Batches, with their items, that need not be kept any more."""
    EXPIRED_EXECUTIONS = "expired_executions"
    """Other executions that need not be kept any more, of weeks that do not go whole."""
    EXPIRED_IDEMPOTENCY_KEYS = "expired_idempotency_keys"
    """Keys that were kept for as long as is promised."""
    WEBHOOK_DELIVERIES = "webhook_deliveries"
    """Deliveries of batches' events that ended as long ago as executions are kept."""
    FINISHED_JOBS = "finished_jobs"
    """Jobs of the engine that have ended, and were not forgotten then."""
    DEAD_PROCESSES = "dead_processes"
    """Rows of processes that ended more than a day ago."""
    ORPHANED_CHILDREN = "orphaned_children"
    """What dead processes have left running on this machine; it is killed."""
    TEMPORARY_FILES = "temporary_files"
    """Folders that dead processes have left among the temporary files of this machine."""
    HOUSEKEEPING = "housekeeping"
    """Figures of the planner that are off; dead rows and idle indexes are reported."""


@dataclass(frozen=True)
class Found:
    """How many there are, and how many of them stay, by the reason why."""

    total: int
    kept: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Tools:
    """What categories look at and mend with; `adapters` are those of this process.

    What is deleted of executions and batches goes to the archive first, where there is one.
    """

    database: Database
    channel: ControlChannel
    close_batch: BatchClosing
    adapters: AdapterRegistry
    ids: Ids
    clock: Clock
    settings: Settings
    archive: Archive | None = None


@dataclass(frozen=True)
class Category:
    """A look, which changes nothing, and how to mend what it finds.

    What is mended is given slice by slice, each committed, and nothing held in between: whoever
    asks may pause there, or stop and go on another time. Both go by the same condition.
    """

    name: CategoryName
    look: Callable[[Tools], Awaitable[Found]]
    mend: Callable[[Tools], AsyncGenerator[Removed]]


async def in_slices(
    tools: Tools, remove: Callable[[Transaction], Awaitable[Removed]], most: int
) -> AsyncGenerator[Removed]:
    """Remove slice by slice, each in a transaction of its own, until one has less than `most`."""
    is_full = True
    while is_full:
        async with tools.database.transaction() as tx:
            removed = await remove(tx)
        is_full = removed.rows == most
        yield removed
