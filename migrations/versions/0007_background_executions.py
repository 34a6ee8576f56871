"""The job engine's tables, and executions that run in the background."""

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from alembic import context, op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_ENGINE = Path(__file__).parent.parent / "procrastinate_3_10.sql"

# A job that waits already is held until the commit, so that whoever takes it sees what is new;
# who has tried to take it meanwhile tries again when he is told.
_WAKE_UP = """
CREATE FUNCTION dspatch_wake_up(queue text, task text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM procrastinate_jobs
        WHERE queue_name = queue AND task_name = task AND status = 'todo'
        ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED;
    IF FOUND THEN
        PERFORM pg_notify(
            'procrastinate_queue_v1#' || queue, '{"type": "job_inserted", "job_id": 0}'
        );
    ELSE
        PERFORM procrastinate_defer_jobs_v1(ARRAY[
            ROW(queue, task, 0, NULL, NULL, '{}', NULL)
        ]::procrastinate_job_to_defer_v1[]);
    END IF;
END;
$$;
COMMENT ON FUNCTION dspatch_wake_up IS
    'Have one job of a task wait in a queue: makes it, or tells of the one that waits.';
"""

_DROP_ENGINE = r"""
DROP FUNCTION dspatch_wake_up(text, text);
DO $$
DECLARE
    one regprocedure;
BEGIN
    FOR one IN
        SELECT oid::regprocedure FROM pg_proc
        WHERE pronamespace = current_schema()::regnamespace AND proname LIKE 'procrastinate\_%'
    LOOP
        EXECUTE format('DROP FUNCTION %s CASCADE', one);
    END LOOP;
END;
$$;
DROP TABLE procrastinate_events, procrastinate_periodic_defers, procrastinate_jobs,
    procrastinate_workers;
DROP TYPE procrastinate_job_to_defer_v1, procrastinate_job_event_type, procrastinate_job_status;
"""


def upgrade() -> None:
    _run_script(_ENGINE.read_text(encoding="utf-8"))
    _run_script(_WAKE_UP)
    op.create_table(
        "job_workers",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("process_id", sa.Uuid(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_workers")),
        comment="Who takes jobs of the engine, and in which process; alive as long as that.",
    )
    op.create_table(
        "pending_executions",
        sa.Column("id", sa.Uuid(), nullable=False, comment="Of an execution that is pending."),
        sa.Column(
            "is_suspect",
            sa.Boolean(),
            nullable=False,
            comment="Whether it may be what its processes died of: it is run alone.",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pending_executions")),
        comment="Executions that wait to be claimed, the oldest first.",
    )
    op.create_index(
        "ix_pending_executions_suspect_id",
        "pending_executions",
        ["id"],
        postgresql_where=sa.text("is_suspect"),
    )
    op.add_column(
        "executions",
        sa.Column(
            "is_background",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="Whether it is taken back and run again when its process dies.",
        ),
    )


def downgrade() -> None:
    op.drop_column("executions", "is_background")
    op.drop_table("pending_executions")
    op.drop_table("job_workers")
    _run_script(_DROP_ENGINE)


def _run_script(script: str) -> None:
    """Run several statements, which SQLAlchemy's way to the driver, by preparing, cannot."""
    if context.is_offline_mode():
        op.get_context().impl.static_output(script)  # as it stands: `execute` doubles each %
        return
    connection = op.get_bind()
    connection.execute(sa.text("SELECT 1"))  # with the first statement the transaction begins
    driver = connection.connection.dbapi_connection
    assert driver is not None  # noqa: S101 - it has just answered
    driver.run_async(lambda link: link.execute(script))
