"""The rows of the job engine, through its own SQL functions where it has one that fits.

A job that runs is its worker's: who ends it or gives it back names the worker and the attempt, so
that one that was frozen, and whose job went to another meanwhile, changes nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from app.stores.removals import Removed, removed

CHANNEL = "procrastinate_queue_v1#"
"""What the engine listens to, before the name of a queue."""

SLICE = 1_000
"""As many finished jobs go in one statement."""

_TOLD = f'pg_notify(\'{CHANNEL}\' || queue_name, \'{{"type": "job_inserted", "job_id": 0}}\')'

# The engine's function is asked only once the worker is known to live.
_FETCH = text("""
WITH alive AS MATERIALIZED (
    SELECT w.id FROM job_workers w JOIN processes p ON p.id = w.process_id
    WHERE w.id = :worker_id AND p.ended_at IS NULL
)
SELECT j.id, j.status::text, j.task_name, j.priority, j.lock, j.queueing_lock, j.args,
    j.scheduled_at, j.queue_name, j.attempts, j.worker_id
FROM alive CROSS JOIN LATERAL procrastinate_fetch_job_v2(CAST(:queues AS varchar[]), alive.id) j
""").columns(args=JSONB)

_MINE = """
mine AS MATERIALIZED (
    SELECT id FROM procrastinate_jobs
    WHERE id = :id AND status = 'doing' AND worker_id = :worker_id AND attempts = :attempts
    FOR UPDATE
)
"""
_FINISH = text(f"""
WITH {_MINE}
SELECT id, procrastinate_finish_job_v1(id, CAST(:status AS procrastinate_job_status), true)
FROM mine
""")  # noqa: S608 - our own text

_GIVE_BACK = """
given AS (
    UPDATE procrastinate_jobs
    SET status = 'todo', worker_id = NULL, attempts = attempts + 1, scheduled_at = NULL
    WHERE id IN (SELECT id FROM {rows}) AND NOT abort_requested
    RETURNING id, queue_name
), aborted AS (
    DELETE FROM procrastinate_jobs WHERE id IN (SELECT id FROM {rows}) AND abort_requested
    RETURNING id, queue_name
)
"""
_GIVE_BACK_MINE = text(f"""
WITH {_MINE}, {_GIVE_BACK.format(rows="mine")}
SELECT id, {_TOLD} FROM given UNION ALL SELECT id, NULL FROM aborted
""")  # noqa: S608 - our own text

_GIVE_BACK_OTHERS = text(f"""
WITH others AS MATERIALIZED (
    SELECT id FROM procrastinate_jobs
    WHERE status = 'doing' AND worker_id = :worker_id AND id <> ALL(CAST(:known AS bigint[]))
    FOR UPDATE
), {_GIVE_BACK.format(rows="others")}
SELECT id, {_TOLD} FROM given
""")  # noqa: S608 - our own text
_TO_ABORT = text("SELECT id FROM procrastinate_jobs WHERE status = 'doing' AND abort_requested")

_TAKE_BACK = text(f"""
WITH lost AS MATERIALIZED (
    SELECT j.id FROM procrastinate_jobs j
    WHERE j.status = 'doing' AND NOT EXISTS (
        SELECT FROM job_workers w JOIN processes p ON p.id = w.process_id
        WHERE w.id = j.worker_id AND p.ended_at IS NULL
    )
    FOR UPDATE OF j SKIP LOCKED
), {_GIVE_BACK.format(rows="lost")}
SELECT id, {_TOLD} FROM given
""")  # noqa: S608 - our own text

_ADD_WORKER = text("""
INSERT INTO job_workers (id, process_id, queue, started_at)
SELECT worker_id, :process_id, :queue, now() FROM procrastinate_register_worker_v1()
RETURNING id
""")
_DROP_WORKER = text("""
WITH dropped AS (DELETE FROM job_workers WHERE id = :worker_id)
SELECT procrastinate_unregister_worker_v1(:worker_id)
""")
_DROP_DEAD_WORKERS = text("""
WITH dead AS MATERIALIZED (
    SELECT w.id FROM job_workers w WHERE NOT EXISTS (
        SELECT FROM processes p WHERE p.id = w.process_id AND p.ended_at IS NULL
    )
    FOR UPDATE OF w SKIP LOCKED
), dropped AS (
    DELETE FROM job_workers WHERE id IN (SELECT id FROM dead)
)
SELECT procrastinate_unregister_worker_v1(id) FROM dead
""")
_COUNT_WAITING = text("""
SELECT queue_name, count(*) AS waiting FROM procrastinate_jobs WHERE status = 'todo' GROUP BY 1
""")

_FINISHED = "status NOT IN ('todo', 'doing')"
_COUNT_FINISHED = text(f"SELECT count(*) FROM procrastinate_jobs WHERE {_FINISHED}")  # noqa: S608
_DROP_FINISHED = text(f"""
DELETE FROM procrastinate_jobs AS j WHERE id = ANY(ARRAY(
    SELECT id FROM procrastinate_jobs WHERE {_FINISHED} LIMIT {SLICE} FOR UPDATE SKIP LOCKED
))
RETURNING pg_column_size(j)
""")  # noqa: S608 - our own text


@dataclass(frozen=True)
class JobRun:
    """One run of a job: the worker that took it, and how often it had been taken before."""

    id: int
    worker_id: int
    attempts: int


class JobStore:
    """Reads and writes jobs and their workers within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def wake_up(self, queue: str, task: str) -> None:
        """Have a job of a task wait in a queue, with this transaction's commit.

        One that waits already will do: it is not taken before that.
        """
        statement = text("SELECT dspatch_wake_up(:queue, :task)")
        await self._session.execute(statement, {"queue": queue, "task": task})

    async def add_worker(self, process_id: UUID, queue: str) -> int:
        """Enter a worker of a process; give its number."""
        values = {"process_id": process_id, "queue": queue}
        return int((await self._session.scalars(_ADD_WORKER, values)).one())

    async def drop_worker(self, worker_id: int) -> None:
        """Forget a worker, none of whose jobs runs any more."""
        await self._session.execute(_DROP_WORKER, {"worker_id": worker_id})

    async def fetch(self, queues: Sequence[str], worker_id: int) -> Mapping[str, Any] | None:
        """Take the next job, as the engine describes it; its `id` is None where none waits.

        None where the worker is dead: it was dropped, or its process was given up.
        """
        values = {"queues": list(queues), "worker_id": worker_id}
        found = (await self._session.execute(_FETCH, values)).mappings().one_or_none()
        return None if found is None else {**found}

    async def finish(self, run: JobRun, status: str) -> bool:
        """End a job, which goes; False where it is not this run's any more."""
        values = {**vars(run), "status": status}
        return (await self._session.execute(_FINISH, values)).one_or_none() is not None

    async def give_back(self, run: JobRun) -> bool:
        """Let somebody else take a job; False where it is not this run's any more.

        One that is to be aborted is: it goes.
        """
        found = await self._session.execute(_GIVE_BACK_MINE, vars(run))
        return found.one_or_none() is not None

    async def give_back_others(self, worker_id: int, known: Collection[int]) -> Sequence[int]:
        """Let somebody else take what a worker has taken and does not know of; give the numbers."""
        values = {"worker_id": worker_id, "known": list(known)}
        return (await self._session.scalars(_GIVE_BACK_OTHERS, values)).all()

    async def list_to_abort(self) -> Sequence[int]:
        """List the jobs that run and shall be aborted."""
        return (await self._session.scalars(_TO_ABORT)).all()

    async def take_back_lost(self) -> Sequence[int]:
        """Let others take the jobs of dead workers, each once, whoever asks at the same time.

        Gives their numbers. A worker is dead when it was dropped or its process has ended.
        """
        taken = (await self._session.scalars(_TAKE_BACK)).all()
        await self._session.execute(_DROP_DEAD_WORKERS)
        return taken

    async def count_finished(self) -> int:
        """Count the jobs that have ended and are still there."""
        return int((await self._session.scalars(_COUNT_FINISHED)).one())

    async def drop_finished(self) -> Removed:
        """Forget a slice of the jobs that have ended."""
        return removed(await self._session.scalars(_DROP_FINISHED))

    async def count_waiting(self) -> Mapping[str, int]:
        """Count the jobs that wait, by queue."""
        found = await self._session.execute(_COUNT_WAITING)
        return {row.queue_name: row.waiting for row in found}
