"""Ended executions are counted in a table of their own, and folded into the programs later."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

COUNTED = "Executions that have ended, but for those in execution_counts."
COUNTED_BEFORE = "Executions that have ended."
LAST = "When the last of them ended."
LAST_BEFORE = "When the last execution began."


def upgrade() -> None:
    op.create_table(
        "execution_counts",
        sa.Column("program_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "ended", sa.Integer(), nullable=False, comment="Executions that ended in one write."
        ),
        sa.Column("last_ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("program_id", "number", name=op.f("pk_execution_counts")),
        comment="Ended executions that are not yet folded into programs.execution_count.",
    )
    describe(COUNTED, LAST, COUNTED_BEFORE, LAST_BEFORE)


def downgrade() -> None:
    describe(COUNTED_BEFORE, LAST_BEFORE, COUNTED, LAST)
    op.execute(
        "UPDATE programs SET execution_count = execution_count"
        " + (SELECT coalesce(sum(ended), 0) FROM execution_counts AS c"
        " WHERE c.program_id = programs.id)"
    )
    op.drop_table("execution_counts")


def describe(count: str, last: str, count_before: str, last_before: str) -> None:
    """Say what the counters of a program hold."""
    op.alter_column(
        "programs",
        "execution_count",
        existing_type=sa.BigInteger(),
        existing_nullable=False,
        existing_server_default=sa.text("0"),
        comment=count,
        existing_comment=count_before,
    )
    op.alter_column(
        "programs",
        "last_executed_at",
        existing_type=sa.DateTime(timezone=True),
        existing_nullable=True,
        comment=last,
        existing_comment=last_before,
    )
