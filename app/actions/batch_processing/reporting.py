"""What a batch says of itself: its figures and, once it has ended, what came of its items."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.database import Database
from app.models import Execution
from app.models.states import ExecutionStatus
from app.stores.batches import BatchReading
from app.stores.pages import Page

MOST_ITEMS = 1_000
"""A batch with more items shows them page by page alone."""


@dataclass(frozen=True)
class Progress:
    """How far a batch has come: items that have ended, their rate, and the time that is left.

    `eta_ms` is None where nobody can say.
    """

    done: int
    rate_per_s: float
    eta_ms: float | None


@dataclass(frozen=True)
class BatchReport:
    """A batch as it stands; the items are None until it has ended, or where there are many."""

    read: BatchReading
    progress: Progress
    items: Sequence[Execution] | None

    @property
    def success_rate(self) -> float | None:
        """The share of items that are completed; None of an empty batch."""
        total = self.read.batch.total_items
        return self.read.successful_items / total if total else None

    @property
    def duration_ms(self) -> float | None:
        """From the start to the end; None before the end."""
        batch = self.read.batch
        if batch.started_at is None or batch.finished_at is None:
            return None
        return round((batch.finished_at - batch.started_at).total_seconds() * 1_000, 3)

    @property
    def average_item_duration_ms(self) -> float:
        """The mean over ended items, 0 where there are none."""
        ended = self.read.ended_items
        return round(self.read.tally.duration_ms / ended, 3) if ended else 0.0

    @property
    def successes(self) -> Sequence[Execution] | None:
        """The completed items."""
        return self._those(is_completed=True)

    @property
    def failures(self) -> Sequence[Execution] | None:
        """The items that did not complete, those that never ran among them."""
        return self._those(is_completed=False)

    def _those(self, *, is_completed: bool) -> Sequence[Execution] | None:
        if self.items is None:
            return None
        return [
            item
            for item in self.items
            if (item.status == ExecutionStatus.COMPLETED) is is_completed
        ]


class BatchReporting:
    """Makes reports of batches."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self, read: BatchReading) -> BatchReport:
        """Report on a batch that was read, with its items where it has ended and they are few."""
        items = None
        if read.batch.finished_at is not None and read.batch.total_items <= MOST_ITEMS:
            async with self._database.transaction() as tx:
                items = (await tx.batch_items.list_ended(read.id, Page(MOST_ITEMS))).items
        return report_of(read, items)


def report_of(read: BatchReading, items: Sequence[Execution] | None = None) -> BatchReport:
    """Report on a batch without looking further."""
    return BatchReport(read, _progress_of(read), items)


def _progress_of(read: BatchReading) -> Progress:
    batch, done = read.batch, read.ended_items
    until = batch.finished_at or read.read_at
    elapsed_s = 0.0 if batch.started_at is None else (until - batch.started_at).total_seconds()
    rate = done / elapsed_s if elapsed_s > 0 else 0.0
    left = batch.total_items - done
    if not left:
        return Progress(done, round(rate, 3), 0.0)
    is_moving = rate > 0 and batch.status == "running"
    return Progress(done, round(rate, 3), round(left / rate * 1_000) if is_moving else None)
