"""Table `executions`: one row per execution or batch item, partitioned by week on its id."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Double, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Document, Instant

WHAT_RUNS = (
    "program_id",
    "program_name",
    "program_revision",
    "signature_id",
    "signature_name",
    "signature_version",
    "adapter_type",
)
"""The columns that say what a record is of."""

PAYLOAD_EXPIRED = {"payload_expired": True}
"""The details of a record whose payload has gone before it."""


class Execution(Base):
    """One run of a program on one set of inputs.

    No foreign key leads here or away: it would block the detaching of partitions.
    """

    __tablename__ = "executions"
    __table_args__ = (
        Index("ix_executions_program_id_id", "program_id", "id"),
        Index(
            "ix_executions_finished_at",
            "finished_at",
            postgresql_where=text("finished_at IS NOT NULL"),
        ),
        Index("ix_executions_owner_id", "owner_id", postgresql_where=text("status = 'running'")),
        {
            "postgresql_partition_by": "RANGE (id)",
            "comment": "Lifecycle records. The id is a UUIDv7: its order is the order of time.",
        },
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7, the partition key.")
    program_id: Mapped[UUID] = mapped_column()
    program_name: Mapped[str] = mapped_column(comment="The name when it ran.")
    program_revision: Mapped[int] = mapped_column(comment="The revision that it ran on.")
    signature_id: Mapped[UUID] = mapped_column()
    signature_name: Mapped[str] = mapped_column()
    signature_version: Mapped[int] = mapped_column()
    adapter_type: Mapped[str] = mapped_column(comment="Kind of the program's adapter.")
    adapter: Mapped[str | None] = mapped_column(comment="The adapter that answered.")
    batch_id: Mapped[UUID | None] = mapped_column()
    item_index: Mapped[int | None] = mapped_column(comment="Place in the batch, from 0.")
    custom_id: Mapped[str | None] = mapped_column(comment="The client's name of the item.")
    lane: Mapped[int | None] = mapped_column(comment="The lane of the batch that runs or ran it.")
    status: Mapped[str] = mapped_column(
        comment="pending, running, completed, failed or cancelled; the last three are final."
    )
    outcome: Mapped[str | None] = mapped_column(
        comment="success, validation_error, execution_error, exception, timeout or cancelled."
    )
    inputs: Mapped[dict[str, Any]] = mapped_column(Document)
    outputs: Mapped[dict[str, Any] | None] = mapped_column(Document)
    raw_output: Mapped[Any | None] = mapped_column(
        Document, comment="What the model said, where the outputs did not validate."
    )
    error: Mapped[dict[str, Any] | None] = mapped_column(
        Document, comment="type, message, context, recoverable, retry_after."
    )
    details: Mapped[dict[str, Any] | None] = mapped_column(
        Document, comment="What the adapter adds: the reasoning, the agreement …"
    )
    attempts: Mapped[list[dict[str, Any]]] = mapped_column(
        Document, comment="adapter, started_at, duration_ms, error of each."
    )
    usage: Mapped[dict[str, Any] | None] = mapped_column(
        Document, comment="prompt_tokens, completion_tokens, total_tokens, lm_calls."
    )
    trace: Mapped[list[dict[str, Any]] | None] = mapped_column(
        Document,
        deferred=True,
        deferred_raiseload=True,
        comment="Each LM call, where the setting telemetry.content is on.",
    )
    duration_ms: Mapped[float | None] = mapped_column(Double)
    execution_options: Mapped[dict[str, Any]] = mapped_column(Document, comment="As they held.")
    metadata_: Mapped[dict[str, Any]] = mapped_column(
        "metadata", Document, comment="The client's alone."
    )
    request_id: Mapped[str | None] = mapped_column(comment="X-Request-ID of the request.")
    owner_id: Mapped[UUID | None] = mapped_column(comment="The process that runs or ran it.")
    is_background: Mapped[bool] = mapped_column(
        server_default=text("false"),
        comment="Whether it is taken back and run again when its process dies.",
    )
    created_at: Mapped[datetime] = mapped_column(Instant)
    started_at: Mapped[datetime | None] = mapped_column(Instant)
    finished_at: Mapped[datetime | None] = mapped_column(Instant)
