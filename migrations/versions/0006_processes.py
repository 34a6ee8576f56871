"""Processes have a row and a heartbeat, and executions name the one that runs them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "processes",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUIDv7, the owner of executions."),
        sa.Column("kind", sa.Text(), nullable=False, comment="serve or worker."),
        sa.Column(
            "host",
            sa.Text(),
            nullable=False,
            comment="The machine's name, the pod's on Kubernetes.",
        ),
        sa.Column(
            "pid", sa.Integer(), nullable=False, comment="The number that the machine gave it."
        ),
        sa.Column("version", sa.Text(), nullable=False, comment="The version of Dspatch."),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "heartbeat_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When it was last heard of, on the database's clock.",
        ),
        sa.Column(
            "ended_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it left, or was found silent and given up.",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_processes")),
        comment="Processes of Dspatch, alive where ended_at is null.",
    )
    op.add_column(
        "executions",
        sa.Column("owner_id", sa.Uuid(), nullable=True, comment="The process that runs or ran it."),
    )
    op.create_index(
        "ix_executions_owner_id",
        "executions",
        ["owner_id"],
        unique=False,
        postgresql_where=sa.text("status = 'running'"),
    )


def downgrade() -> None:
    op.drop_index(
        "ix_executions_owner_id",
        table_name="executions",
        postgresql_where=sa.text("status = 'running'"),
    )
    op.drop_column("executions", "owner_id")
    op.drop_table("processes")
