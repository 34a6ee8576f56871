"""Processes say how many of their children hold a program of each LM: they share its limits."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column(
        "processes",
        sa.Column(
            "lm_children",
            postgresql.JSON(),
            server_default="{}",
            nullable=False,
            comment="How many of its child processes hold a program of an LM, by the LMs' names.",
        ),
    )


def downgrade() -> None:
    op.drop_column("processes", "lm_children")
