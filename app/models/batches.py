"""Tables `batches`, `batch_lanes` and `batch_uploads`; a batch's items are rows of `executions`."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Double, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Document, Instant

QUEUE = "lanes"
"""The queue of the engine in which it stands that lanes wait."""

TASK = "run_lanes"
"""What the engine has a process do then."""


class Batch(Base):
    """Many executions of one program, handed out from the first to the last.

    What has ended is counted where it ends: by its lane, or here where no lane ended it.
    """

    __tablename__ = "batches"
    __table_args__ = (
        Index("ix_batches_program_id_id", "program_id", "id"),
        {"comment": "Many executions of one program; each item is a row of executions."},
    )

    id: Mapped[UUID] = mapped_column(
        primary_key=True, comment="UUIDv7; the ids of its items are derived from it."
    )
    program_id: Mapped[UUID] = mapped_column()
    program_revision: Mapped[int] = mapped_column(comment="The revision that all items run on.")
    status: Mapped[str] = mapped_column(
        comment="pending, running, paused, completed, failed or cancelled."
    )
    stopping: Mapped[str | None] = mapped_column(
        comment="failed or cancelled: what it will be once its items have ended."
    )
    retry_of: Mapped[UUID | None] = mapped_column(comment="The batch whose rest it runs again.")
    batch_options: Mapped[dict[str, Any]] = mapped_column(Document, comment="As they hold.")
    total_items: Mapped[int] = mapped_column()
    next_index: Mapped[int] = mapped_column(
        server_default=text("0"), comment="The cursor: items before it have been handed out."
    )
    ended_ahead: Mapped[int] = mapped_column(
        server_default=text("0"), comment="Items after the cursor that have ended."
    )
    invalid_items: Mapped[int] = mapped_column(
        server_default=text("0"), comment="Items that were recorded as failed when they came."
    )
    cancelled_items: Mapped[int] = mapped_column(
        server_default=text("0"), comment="Items that were cancelled by nobody who ran them."
    )
    moves: Mapped[int] = mapped_column(
        server_default=text("0"), comment="How often its status, or what it will be, has changed."
    )
    told_at: Mapped[datetime | None] = mapped_column(
        Instant, comment="When its receiver was last told of its progress."
    )
    error: Mapped[dict[str, Any] | None] = mapped_column(
        Document, comment="Why it stopped: type, message, context, recoverable, retry_after."
    )
    percentiles: Mapped[dict[str, Any] | None] = mapped_column(
        Document, comment="Of its items' durations, once it has ended."
    )
    metadata_: Mapped[dict[str, Any]] = mapped_column(
        "metadata", Document, comment="The client's alone."
    )
    request_id: Mapped[str | None] = mapped_column(comment="X-Request-ID of the request.")
    created_at: Mapped[datetime] = mapped_column(Instant)
    started_at: Mapped[datetime | None] = mapped_column(Instant)
    finished_at: Mapped[datetime | None] = mapped_column(Instant)


class BatchLane(Base):
    """A share of a batch's concurrency, run by one process at a time.

    Whoever takes the lane raises its token; what an earlier holder writes fails on that. The
    figures are sums over the items that the lane has ended.
    """

    __tablename__ = "batch_lanes"
    __table_args__ = (
        Index(
            "ix_batch_lanes_waits_since",
            "waits_since",
            postgresql_where=text("waits_since IS NOT NULL"),
        ),
        Index("ix_batch_lanes_owner_id", "owner_id", postgresql_where=text("is_held")),
        {"comment": "Shares of a batch's concurrency, each run by one process."},
    )

    batch_id: Mapped[UUID] = mapped_column(ForeignKey("batches.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, comment="Counted from 0.")
    share: Mapped[int] = mapped_column(comment="Items that it may have in flight at once.")
    token: Mapped[int] = mapped_column(
        BigInteger, server_default=text("0"), comment="How often the lane has been taken."
    )
    owner_id: Mapped[UUID | None] = mapped_column(comment="The process that took it last.")
    is_held: Mapped[bool] = mapped_column(
        server_default=text("false"), comment="Whether that process has not given it back."
    )
    waits_since: Mapped[datetime | None] = mapped_column(
        Instant, comment="Since when there has been something to do for who takes it next."
    )
    alone: Mapped[int | None] = mapped_column(
        comment="The place of the suspect that runs with no other beside it."
    )
    succeeded: Mapped[int] = mapped_column(server_default=text("0"))
    failed: Mapped[int] = mapped_column(server_default=text("0"))
    cancelled: Mapped[int] = mapped_column(server_default=text("0"))
    poisonous: Mapped[int] = mapped_column(
        server_default=text("0"), comment="Failed items that killed their process."
    )
    retries: Mapped[int] = mapped_column(
        BigInteger, server_default=text("0"), comment="Attempts after the first."
    )
    duration_ms: Mapped[float] = mapped_column(Double, server_default=text("0"))
    prompt_tokens: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    completion_tokens: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    total_tokens: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    lm_calls: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))


class BatchUpload(Base):
    """A batch of many slices that is being taken in: its items are there, the batch is not yet."""

    __tablename__ = "batch_uploads"
    __table_args__ = (
        {"comment": "Batches that are being taken in; where the owner has died, abandoned."},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="What the batch's id will be.")
    owner_id: Mapped[UUID] = mapped_column(comment="The process that takes it in.")
    created_at: Mapped[datetime] = mapped_column(Instant)
