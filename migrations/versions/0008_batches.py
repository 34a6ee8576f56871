"""Batches with their lanes and uploads; executions name the lane that runs them."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "batches",
        sa.Column(
            "id",
            sa.Uuid(),
            nullable=False,
            comment="UUIDv7; the ids of its items are derived from it.",
        ),
        sa.Column("program_id", sa.Uuid(), nullable=False),
        sa.Column(
            "program_revision",
            sa.Integer(),
            nullable=False,
            comment="The revision that all items run on.",
        ),
        sa.Column(
            "status",
            sa.Text(),
            nullable=False,
            comment="pending, running, paused, completed, failed or cancelled.",
        ),
        sa.Column(
            "stopping",
            sa.Text(),
            nullable=True,
            comment="failed or cancelled: what it will be once its items have ended.",
        ),
        sa.Column(
            "retry_of", sa.Uuid(), nullable=True, comment="The batch whose rest it runs again."
        ),
        sa.Column("batch_options", postgresql.JSON(), nullable=False, comment="As they hold."),
        sa.Column("total_items", sa.Integer(), nullable=False),
        counter("next_index", "The cursor: items before it have been handed out."),
        counter("ended_ahead", "Items after the cursor that have ended."),
        counter("invalid_items", "Items that were recorded as failed when they came."),
        counter("cancelled_items", "Items that were cancelled by nobody who ran them."),
        sa.Column(
            "error",
            postgresql.JSON(),
            nullable=True,
            comment="Why it stopped: type, message, context, recoverable, retry_after.",
        ),
        sa.Column(
            "percentiles",
            postgresql.JSON(),
            nullable=True,
            comment="Of its items' durations, once it has ended.",
        ),
        sa.Column("metadata", postgresql.JSON(), nullable=False, comment="The client's alone."),
        sa.Column("request_id", sa.Text(), nullable=True, comment="X-Request-ID of the request."),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
        comment="Many executions of one program; each item is a row of executions.",
    )
    op.create_index("ix_batches_program_id_id", "batches", ["program_id", "id"], unique=False)
    create_lanes()
    op.create_table(
        "batch_uploads",
        sa.Column("id", sa.Uuid(), nullable=False, comment="What the batch's id will be."),
        sa.Column("owner_id", sa.Uuid(), nullable=False, comment="The process that takes it in."),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch_uploads")),
        comment="Batches that are being taken in; where the owner has died, abandoned.",
    )
    op.add_column(
        "executions",
        sa.Column(
            "lane",
            sa.Integer(),
            nullable=True,
            comment="The lane of the batch that runs or ran it.",
        ),
    )


def downgrade() -> None:
    op.drop_column("executions", "lane")
    op.drop_table("batch_uploads")
    op.drop_index(
        "ix_batch_lanes_owner_id", table_name="batch_lanes", postgresql_where=sa.text("is_held")
    )
    op.drop_index(
        "ix_batch_lanes_waits_since",
        table_name="batch_lanes",
        postgresql_where=sa.text("waits_since IS NOT NULL"),
    )
    op.drop_table("batch_lanes")
    op.drop_index("ix_batches_program_id_id", table_name="batches")
    op.drop_table("batches")


def create_lanes() -> None:
    op.create_table(
        "batch_lanes",
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, comment="Counted from 0."),
        sa.Column(
            "share",
            sa.Integer(),
            nullable=False,
            comment="Items that it may have in flight at once.",
        ),
        counter("token", "How often the lane has been taken.", sa.BigInteger()),
        sa.Column("owner_id", sa.Uuid(), nullable=True, comment="The process that took it last."),
        sa.Column(
            "is_held",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="Whether that process has not given it back.",
        ),
        sa.Column(
            "waits_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Since when there has been something to do for who takes it next.",
        ),
        sa.Column(
            "alone",
            sa.Integer(),
            nullable=True,
            comment="The place of the suspect that runs with no other beside it.",
        ),
        counter("succeeded"),
        counter("failed"),
        counter("cancelled"),
        counter("poisonous", "Failed items that killed their process."),
        counter("retries", "Attempts after the first.", sa.BigInteger()),
        counter("duration_ms", None, sa.Double()),
        counter("prompt_tokens", None, sa.BigInteger()),
        counter("completion_tokens", None, sa.BigInteger()),
        counter("total_tokens", None, sa.BigInteger()),
        counter("lm_calls", None, sa.BigInteger()),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batches.id"], name=op.f("fk_batch_lanes_batch_id_batches")
        ),
        sa.PrimaryKeyConstraint("batch_id", "number", name=op.f("pk_batch_lanes")),
        comment="Shares of a batch's concurrency, each run by one process.",
    )
    op.create_index(
        "ix_batch_lanes_waits_since",
        "batch_lanes",
        ["waits_since"],
        unique=False,
        postgresql_where=sa.text("waits_since IS NOT NULL"),
    )
    op.create_index(
        "ix_batch_lanes_owner_id",
        "batch_lanes",
        ["owner_id"],
        unique=False,
        postgresql_where=sa.text("is_held"),
    )


def counter(
    name: str,
    comment: str | None = None,
    kind: "sa.types.TypeEngine[Any] | None" = None,
) -> "sa.Column[Any]":
    """Give a column that counts from 0."""
    return sa.Column(
        name,
        kind or sa.Integer(),
        server_default=sa.text("0"),
        nullable=False,
        comment=comment,
    )
