"""What batches tell: how far they have come, and how they have ended."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from app.actions.batch_processing.documents import document_of
from app.actions.batch_processing.reporting import report_of
from app.actions.json_text import json_bytes
from app.models.webhook_deliveries import PROGRESS
from app.stores.batches import BatchReading


@dataclass(frozen=True)
class BatchEvent:
    """A batch as it stood at `timestamp`; `sequence` rises with every change of it.

    The counts and the status are the same in every event of one sequence.
    """

    batch_id: UUID
    sequence: int
    type: str
    timestamp: datetime
    data: dict[str, Any]

    @cached_property
    def text(self) -> bytes:
        """The data as JSON, written once for all who hear of it."""
        return json_bytes(self.data)

    @property
    def is_last(self) -> bool:
        """Whether the batch has ended."""
        return self.type != PROGRESS


def event_of(read: BatchReading) -> BatchEvent:
    """Tell of a batch as it was read."""
    batch = read.batch
    return BatchEvent(
        batch_id=batch.id,
        sequence=read.sequence,
        type=PROGRESS if batch.finished_at is None else f"batch.{batch.status}",
        timestamp=read.read_at,
        data=document_of(report_of(read)),
    )
