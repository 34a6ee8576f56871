"""Signatures, programs with their revisions, and executions, partitioned by week on their id."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "executions",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUIDv7, the partition key."),
        sa.Column("program_id", sa.Uuid(), nullable=False),
        sa.Column("program_name", sa.Text(), nullable=False, comment="The name when it ran."),
        sa.Column(
            "program_revision", sa.Integer(), nullable=False, comment="The revision that it ran on."
        ),
        sa.Column("signature_id", sa.Uuid(), nullable=False),
        sa.Column("signature_name", sa.Text(), nullable=False),
        sa.Column("signature_version", sa.Integer(), nullable=False),
        sa.Column(
            "adapter_type", sa.Text(), nullable=False, comment="Kind of the program's adapter."
        ),
        sa.Column("adapter", sa.Text(), nullable=True, comment="The adapter that answered."),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        sa.Column("item_index", sa.Integer(), nullable=True, comment="Place in the batch, from 0."),
        sa.Column("custom_id", sa.Text(), nullable=True, comment="The client's name of the item."),
        sa.Column(
            "status",
            sa.Text(),
            nullable=False,
            comment="pending, running, completed, failed or cancelled; the last three are final.",
        ),
        sa.Column(
            "outcome",
            sa.Text(),
            nullable=True,
            comment="success, validation_error, execution_error, exception, timeout or cancelled.",
        ),
        sa.Column("inputs", postgresql.JSON(), nullable=False),
        sa.Column("outputs", postgresql.JSON(), nullable=True),
        sa.Column(
            "raw_output",
            postgresql.JSON(),
            nullable=True,
            comment="What the model said, where the outputs did not validate.",
        ),
        sa.Column(
            "error",
            postgresql.JSON(),
            nullable=True,
            comment="type, message, context, recoverable, retry_after.",
        ),
        sa.Column(
            "details",
            postgresql.JSON(),
            nullable=True,
            comment="What the adapter adds: the reasoning, the agreement …",
        ),
        sa.Column(
            "attempts",
            postgresql.JSON(),
            nullable=False,
            comment="adapter, started_at, duration_ms, error of each.",
        ),
        sa.Column(
            "usage",
            postgresql.JSON(),
            nullable=True,
            comment="prompt_tokens, completion_tokens, total_tokens, lm_calls.",
        ),
        sa.Column("duration_ms", sa.Double(), nullable=True),
        sa.Column(
            "execution_options",
            postgresql.JSON(),
            nullable=False,
            comment="As they held.",
        ),
        sa.Column(
            "metadata",
            postgresql.JSON(),
            nullable=False,
            comment="The client's alone.",
        ),
        sa.Column("request_id", sa.Text(), nullable=True, comment="X-Request-ID of the request."),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_executions")),
        comment="Lifecycle records. The id is a UUIDv7: its order is the order of time.",
        postgresql_partition_by="RANGE (id)",
    )
    op.create_index("ix_executions_program_id_id", "executions", ["program_id", "id"], unique=False)
    op.create_table(
        "signatures",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUIDv7."),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False, comment="Counted per name, from 1."),
        sa.Column("status", sa.Text(), nullable=False, comment="draft, active or deprecated."),
        sa.Column(
            "instructions", sa.Text(), nullable=False, comment="What the model is told to do."
        ),
        sa.Column("description", sa.Text(), nullable=False, comment="For people."),
        sa.Column(
            "inputs",
            postgresql.JSON(),
            nullable=False,
            comment="Ordered fields: name, type, constraints, description, default.",
        ),
        sa.Column(
            "outputs",
            postgresql.JSON(),
            nullable=False,
            comment="As inputs.",
        ),
        sa.Column(
            "notation", sa.Text(), nullable=False, comment="Inputs and outputs in arrow notation."
        ),
        sa.Column(
            "content_hash",
            sa.Text(),
            nullable=False,
            comment="SHA-256 of inputs, outputs and instructions.",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signatures")),
        sa.UniqueConstraint("name", "content_hash", name=op.f("uq_signatures_name_content_hash")),
        sa.UniqueConstraint("name", "version", name=op.f("uq_signatures_name_version")),
        comment="Named, versioned, typed contracts of programs.",
    )
    op.create_table(
        "programs",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUIDv7."),
        sa.Column(
            "name",
            sa.Text(),
            nullable=False,
            comment="Unique among programs that are not archived.",
        ),
        sa.Column("signature_id", sa.Uuid(), nullable=False),
        sa.Column("module", sa.Text(), nullable=False, comment="predict, chain_of_thought …"),
        sa.Column(
            "adapter", sa.Text(), nullable=False, comment="An adapter's name in the settings."
        ),
        sa.Column(
            "config",
            postgresql.JSON(),
            nullable=False,
            comment="Configuration of the current revision.",
        ),
        sa.Column(
            "state",
            postgresql.JSON(),
            nullable=True,
            comment="Compiled state (instructions, demos) of the current revision.",
        ),
        sa.Column(
            "revision",
            sa.Integer(),
            nullable=False,
            comment="The current row of program_revisions.",
        ),
        sa.Column(
            "status",
            sa.Text(),
            nullable=False,
            comment="draft, initializing, ready, error or archived.",
        ),
        sa.Column("error", sa.Text(), nullable=True, comment="Why the status is error."),
        sa.Column("description", sa.Text(), nullable=False, comment="For people."),
        sa.Column(
            "metadata",
            postgresql.JSON(),
            nullable=False,
            comment="The client's alone.",
        ),
        sa.Column(
            "retention",
            postgresql.JSON(),
            nullable=True,
            comment="Days to keep its executions, by status; null: the settings'.",
        ),
        sa.Column(
            "execution_count",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Executions that have ended.",
        ),
        sa.Column(
            "last_executed_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the last execution began.",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["signature_id"], ["signatures.id"], name=op.f("fk_programs_signature_id_signatures")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_programs")),
        comment="What is executed: a signature on a module, an adapter and a configuration.",
    )
    op.create_index("ix_programs_signature_id", "programs", ["signature_id"], unique=False)
    op.create_index(
        "uq_programs_name_live",
        "programs",
        ["name"],
        unique=True,
        postgresql_where=sa.text("status <> 'archived'"),
    )
    op.create_table(
        "program_revisions",
        sa.Column("program_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False, comment="Counted from 1."),
        sa.Column("adapter", sa.Text(), nullable=False),
        sa.Column("config", postgresql.JSON(), nullable=False),
        sa.Column("state", postgresql.JSON(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["program_id"], ["programs.id"], name=op.f("fk_program_revisions_program_id_programs")
        ),
        sa.PrimaryKeyConstraint("program_id", "revision", name=op.f("pk_program_revisions")),
        comment="Every configuration that a program ever had.",
    )


def downgrade() -> None:
    op.drop_table("program_revisions")
    op.drop_index(
        "uq_programs_name_live",
        table_name="programs",
        postgresql_where=sa.text("status <> 'archived'"),
    )
    op.drop_index("ix_programs_signature_id", table_name="programs")
    op.drop_table("programs")
    op.drop_table("signatures")
    op.drop_index("ix_executions_program_id_id", table_name="executions")
    op.drop_table("executions")
