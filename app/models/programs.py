"""Tables `programs` and `program_revisions`."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, func, select, text
from sqlalchemy.orm import Mapped, column_property, mapped_column

from app.models.base import Base, Document, Instant
from app.models.execution_counts import ExecutionCount


class Program(Base):
    """A signature, a DSPy module, an adapter and their configuration."""

    __tablename__ = "programs"
    __table_args__ = (
        Index(
            "uq_programs_name_live",
            "name",
            unique=True,
            postgresql_where=text("status <> 'archived'"),
        ),
        Index("ix_programs_signature_id", "signature_id"),
        {"comment": "What is executed: a signature on a module, an adapter and a configuration."},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7.")
    name: Mapped[str] = mapped_column(comment="Unique among programs that are not archived.")
    signature_id: Mapped[UUID] = mapped_column(ForeignKey("signatures.id"))
    module: Mapped[str] = mapped_column(comment="predict, chain_of_thought …")
    adapter: Mapped[str] = mapped_column(comment="An adapter's name in the settings.")
    config: Mapped[dict[str, Any]] = mapped_column(
        Document, comment="Configuration of the current revision."
    )
    state: Mapped[dict[str, Any] | None] = mapped_column(
        Document, comment="Compiled state (instructions, demos) of the current revision."
    )
    revision: Mapped[int] = mapped_column(comment="The current row of program_revisions.")
    status: Mapped[str] = mapped_column(comment="draft, initializing, ready, error or archived.")
    error: Mapped[str | None] = mapped_column(comment="Why the status is error.")
    description: Mapped[str] = mapped_column(comment="For people.")
    metadata_: Mapped[dict[str, Any]] = mapped_column(
        "metadata", Document, comment="The client's alone."
    )
    retention: Mapped[dict[str, Any] | None] = mapped_column(
        Document, comment="Days to keep its executions, by status; null: the settings'."
    )
    folded_count: Mapped[int] = mapped_column(
        "execution_count",
        BigInteger,
        server_default=text("0"),
        comment="Executions that have ended, but for those in execution_counts.",
    )
    folded_at: Mapped[datetime | None] = mapped_column(
        "last_executed_at", Instant, comment="When the last of them ended."
    )
    created_at: Mapped[datetime] = mapped_column(Instant)
    updated_at: Mapped[datetime] = mapped_column(Instant)

    # Exact at any moment: what is not folded in yet is added.
    execution_count: Mapped[int] = column_property(
        folded_count
        + select(func.coalesce(func.sum(ExecutionCount.ended), 0))
        .where(ExecutionCount.program_id == id)  # noqa: A003 - the column above
        .scalar_subquery()
    )
    last_executed_at: Mapped[datetime | None] = column_property(
        func.greatest(
            folded_at,
            select(func.max(ExecutionCount.last_ended_at))
            .where(ExecutionCount.program_id == id)  # noqa: A003 - the column above
            .scalar_subquery(),
        )
    )


class ProgramRevision(Base):
    """What a program was at one time; executions name the revision that they ran on."""

    __tablename__ = "program_revisions"
    __table_args__ = ({"comment": "Every configuration that a program ever had."},)

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"), primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True, comment="Counted from 1.")
    adapter: Mapped[str] = mapped_column()
    config: Mapped[dict[str, Any]] = mapped_column(Document)
    state: Mapped[dict[str, Any] | None] = mapped_column(Document)
    created_at: Mapped[datetime] = mapped_column(Instant)
