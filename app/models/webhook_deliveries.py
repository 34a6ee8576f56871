"""Table `webhook_deliveries`: the events of batches on their way to receivers."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Document, Instant

QUEUE = "webhooks"
"""The queue of the engine in which it stands that deliveries are due."""

TASK = "deliver_webhooks"
"""What the engine has a process do then."""

PROGRESS = "batch.progress"
"""The type of an event that is not the last."""


class WebhookDelivery(Base):
    """An event for a batch's receiver: what is posted, and what came of each attempt."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index("uq_webhook_deliveries_batch_id_sequence", "batch_id", "sequence", unique=True),
        Index(
            "ix_webhook_deliveries_due_at",
            "due_at",
            postgresql_where=text("status = 'pending'"),
        ),
        {"comment": "Events of batches for their receivers, and what came of them."},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7; its webhook-id.")
    batch_id: Mapped[UUID] = mapped_column(ForeignKey("batches.id", ondelete="CASCADE"))
    sequence: Mapped[int] = mapped_column(BigInteger, comment="Of the event, in its batch.")
    type: Mapped[str] = mapped_column(
        comment="batch.progress, batch.completed, batch.failed or batch.cancelled."
    )
    address: Mapped[str] = mapped_column(
        comment="Where it is posted: the batch's progress_callback."
    )
    body: Mapped[str] = mapped_column(comment="What is posted, the same each time.")
    status: Mapped[str] = mapped_column(comment="pending, delivered, failed, gone or superseded.")
    attempts: Mapped[list[dict[str, Any]]] = mapped_column(
        Document, server_default="[]", comment="started_at, duration_ms, status, answer, error."
    )
    due_at: Mapped[datetime] = mapped_column(
        Instant, comment="When it is attempted next; nothing of its batch is posted before."
    )
    owner_id: Mapped[UUID | None] = mapped_column(comment="The process that attempts it.")
    created_at: Mapped[datetime] = mapped_column(Instant)
    finished_at: Mapped[datetime | None] = mapped_column(Instant)
