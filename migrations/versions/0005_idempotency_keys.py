"""Idempotency keys."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column(
            "key",
            sa.LargeBinary(),
            nullable=False,
            comment="SHA-256 of API key, method, path and key.",
        ),
        sa.Column(
            "request",
            sa.LargeBinary(),
            nullable=False,
            comment="SHA-256 of query, Prefer and body.",
        ),
        sa.Column(
            "resource_id", sa.Uuid(), nullable=False, comment="What the request made or found."
        ),
        sa.Column("is_new", sa.Boolean(), nullable=False, comment="Whether the request made it."),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_idempotency_keys")),
        comment="Requests that were accepted under an Idempotency-Key; kept for 24 h.",
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])


def downgrade() -> None:
    op.drop_table("idempotency_keys")
