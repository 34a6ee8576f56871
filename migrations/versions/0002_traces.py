"""What the language models were asked and said, per execution."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column(
        "executions",
        sa.Column(
            "trace",
            postgresql.JSON(),
            nullable=True,
            comment="Each LM call, where the setting telemetry.content is on.",
        ),
    )


def downgrade() -> None:
    op.drop_column("executions", "trace")
