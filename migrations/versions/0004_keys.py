"""Keys, and the administrative acts."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text(), nullable=False, comment="The 8 characters after dsp_."),
        sa.Column(
            "name",
            sa.Text(),
            nullable=False,
            comment="Whose it is; two keys of one name are a rotation.",
        ),
        sa.Column(
            "scopes",
            postgresql.ARRAY(sa.Text()),
            nullable=False,
            comment="Of read, execute, manage and admin.",
        ),
        sa.Column(
            "secret_hash",
            sa.LargeBinary(),
            nullable=False,
            comment="SHA-256 of what stands after the id.",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True, comment="Null: never."),
        sa.Column(
            "last_used_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Written every half minute at most.",
        ),
        sa.Column(
            "revoked_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Refused everywhere five seconds later.",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        comment="Who may call. The keys themselves are kept nowhere.",
    )
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False, comment="The id of a key, or cli."),
        sa.Column("act", sa.Text(), nullable=False, comment="key_created, key_revoked …"),
        sa.Column(
            "subject",
            sa.Text(),
            nullable=False,
            comment="The id or name of what it was done to.",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When it was done.",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
        comment="Administrative acts: who did what to what, and when.",
    )


def downgrade() -> None:
    op.drop_table("audit_entries")
    op.drop_table("api_keys")
