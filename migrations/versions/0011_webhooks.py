"""Webhooks: what batches tell their receivers, and how often a batch has changed its status."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column(
        "batches",
        sa.Column(
            "moves",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="How often its status, or what it will be, has changed.",
        ),
    )
    op.add_column(
        "batches",
        sa.Column(
            "told_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When its receiver was last told of its progress.",
        ),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUIDv7; its webhook-id."),
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column(
            "sequence", sa.BigInteger(), nullable=False, comment="Of the event, in its batch."
        ),
        sa.Column(
            "type",
            sa.Text(),
            nullable=False,
            comment="batch.progress, batch.completed, batch.failed or batch.cancelled.",
        ),
        sa.Column(
            "address",
            sa.Text(),
            nullable=False,
            comment="Where it is posted: the batch's progress_callback.",
        ),
        sa.Column("body", sa.Text(), nullable=False, comment="What is posted, the same each time."),
        sa.Column(
            "status",
            sa.Text(),
            nullable=False,
            comment="pending, delivered, failed, gone or superseded.",
        ),
        sa.Column(
            "attempts",
            postgresql.JSON(),
            server_default="[]",
            nullable=False,
            comment="started_at, duration_ms, status, answer, error.",
        ),
        sa.Column(
            "due_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When it is attempted next; nothing of its batch is posted before.",
        ),
        sa.Column("owner_id", sa.Uuid(), nullable=True, comment="The process that attempts it."),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["batch_id"],
            ["batches.id"],
            name=op.f("fk_webhook_deliveries_batch_id_batches"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
        comment="Events of batches for their receivers, and what came of them.",
    )
    op.create_index(
        "uq_webhook_deliveries_batch_id_sequence",
        "webhook_deliveries",
        ["batch_id", "sequence"],
        unique=True,
    )
    op.create_index(
        "ix_webhook_deliveries_due_at",
        "webhook_deliveries",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("status = 'pending'"),
    )


def downgrade() -> None:
    op.drop_index(
        "ix_webhook_deliveries_due_at",
        table_name="webhook_deliveries",
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.drop_index("uq_webhook_deliveries_batch_id_sequence", table_name="webhook_deliveries")
    op.drop_table("webhook_deliveries")
    op.drop_column("batches", "told_at")
    op.drop_column("batches", "moves")
