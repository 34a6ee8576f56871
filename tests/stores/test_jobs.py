"""Jobs: deferred with our own rows, taken by the living, ended by whoever has them."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.database import Database
from app.stores.jobs import JobRun
from app.stores.transaction import Transaction
from tests.stores.rows import a_process

QUEUE, TASK = "letters", "post"


async def a_worker(tx: Transaction, **process: Any) -> int:
    """Add a worker of a process of its own."""
    return await tx.jobs.add_worker(await a_process(tx, **process), QUEUE)


async def waiting(database: Database) -> int:
    """Count the jobs that wait."""
    async with database.transaction() as tx:
        return (await tx.jobs.count_waiting()).get(QUEUE, 0)


async def woken(database: Database) -> None:
    """Have a job wait."""
    async with database.transaction() as tx:
        await tx.jobs.wake_up(QUEUE, TASK)


async def fetched(database: Database, worker_id: int) -> JobRun:
    """Take the next job."""
    async with database.transaction() as tx:
        row = await tx.jobs.fetch([QUEUE], worker_id)
    assert row is not None
    assert row["id"] is not None
    return JobRun(row["id"], worker_id, row["attempts"])


async def a_run(database: Database, **process: Any) -> JobRun:
    """Take a job by a worker of its own."""
    await woken(database)
    async with database.transaction() as tx:
        worker_id = await a_worker(tx)
    run = await fetched(database, worker_id)
    if process:
        await _change_process(database, worker_id, **process)
    return run


async def _change_process(database: Database, worker_id: int, *, is_dead: bool) -> None:
    change = "UPDATE processes SET ended_at = CASE WHEN :dead THEN now() END FROM job_workers w"
    statement = text(f"{change} WHERE processes.id = w.process_id AND w.id = :worker_id")
    async with database.transaction() as tx:
        await tx.jobs._session.execute(statement, {"dead": is_dead, "worker_id": worker_id})


async def ask(database: Database, query: str) -> Sequence[Any]:
    """Read by hand."""
    async with database.transaction() as tx:
        return (await tx.jobs._session.execute(text(query))).all()


async def request_abort(database: Database, run: JobRun) -> None:
    """Ask for the abort of a job, as an operator does."""
    statement = text("SELECT procrastinate_cancel_job_v1(:id, true, false)")
    async with database.transaction() as tx:
        await tx.jobs._session.execute(statement, {"id": run.id})


async def test_a_job_is_there_once_its_transaction_is_committed(database: Database) -> None:
    """With the rows of whoever wakes up; a rollback leaves neither."""
    async with database.transaction() as tx:
        process_id = await a_process(tx)
        await tx.jobs.wake_up(QUEUE, TASK)
        await tx.jobs._session.rollback()
    async with database.transaction() as tx:
        assert not await tx.processes.beat(process_id)
    assert await waiting(database) == 0
    await woken(database)
    assert await waiting(database) == 1


async def test_one_that_waits_will_do(database: Database) -> None:
    """However often somebody is woken up; another task or queue is another matter."""
    await woken(database)
    await woken(database)
    async with database.transaction() as tx:
        await tx.jobs.wake_up(QUEUE, "another")
        await tx.jobs.wake_up("another", TASK)
        await tx.jobs.wake_up(QUEUE, TASK)
    assert await waiting(database) == 2


async def test_the_one_that_will_do_is_not_taken_before_the_commit(database: Database) -> None:
    """Whoever took it would look too early; so nobody does, and he is told afterwards."""
    await woken(database)
    told = asyncio.Event()
    listener = await database.open_connection()
    await listener.add_listener(f"procrastinate_queue_v1#{QUEUE}", lambda *_: told.set())
    async with database.transaction() as tx:
        worker_id = await a_worker(tx)
    async with database.transaction() as tx:
        await tx.jobs.wake_up(QUEUE, TASK)
        async with database.transaction() as other:
            row = await other.jobs.fetch([QUEUE], worker_id)
        assert row is not None
        assert row["id"] is None
        assert not told.is_set()
    await asyncio.wait_for(told.wait(), 10)
    await fetched(database, worker_id)


async def test_two_who_wake_up_at_once_do_not_wait_for_each_other(database: Database) -> None:
    """The second adds a job of its own: nobody sees yet what the first did."""
    await woken(database)
    async with database.transaction() as one, database.transaction() as other:
        await one.jobs.wake_up(QUEUE, TASK)
        await other.jobs.wake_up(QUEUE, TASK)
    assert await waiting(database) == 2


async def test_a_job_is_taken_once(database: Database) -> None:
    """With all that the engine asks for; then none is left."""
    await woken(database)
    async with database.transaction() as tx:
        worker_id = await a_worker(tx)
        row = await tx.jobs.fetch([QUEUE], worker_id)
        again = await tx.jobs.fetch([QUEUE], worker_id)
        elsewhere = await tx.jobs.fetch(["another"], worker_id)
    assert row is not None
    assert {**row, "id": 0} == {
        "id": 0,
        "status": "doing",
        "task_name": TASK,
        "priority": 0,
        "lock": None,
        "queueing_lock": None,
        "args": {},
        "scheduled_at": None,
        "queue_name": QUEUE,
        "attempts": 0,
        "worker_id": worker_id,
    }
    assert again is not None
    assert again["id"] is None
    assert elsewhere is not None
    assert elsewhere["id"] is None


@pytest.mark.parametrize("process", [{"ended_s": 0}, None], ids=["ended", "dropped"])
async def test_the_dead_take_nothing(database: Database, process: dict[str, float] | None) -> None:
    """A worker whose process was given up is told so, and so is one that was dropped."""
    await woken(database)
    async with database.transaction() as tx:
        worker_id = await a_worker(tx, **(process or {}))
        if process is None:
            await tx.jobs.drop_worker(worker_id)
        assert await tx.jobs.fetch([QUEUE], worker_id) is None
    assert await waiting(database) == 1


async def test_a_job_that_is_finished_goes(database: Database) -> None:
    """Nothing is kept of it."""
    run = await a_run(database)
    async with database.transaction() as tx:
        assert await tx.jobs.finish(run, "succeeded")
    assert await ask(database, "SELECT id FROM procrastinate_jobs") == []
    assert await ask(database, "SELECT id FROM procrastinate_events") == []


async def test_a_job_that_is_given_back_is_taken_again(database: Database) -> None:
    """At once, and whoever listens is told: the engine itself tells of new jobs alone."""
    run, told = await a_run(database), asyncio.Event()
    listener = await database.open_connection()
    await listener.add_listener(f"procrastinate_queue_v1#{QUEUE}", lambda *_: told.set())
    async with database.transaction() as tx:
        assert await tx.jobs.give_back(run)
    await asyncio.wait_for(told.wait(), 10)
    again = await fetched(database, run.worker_id)
    assert (again.id, again.attempts) == (run.id, run.attempts + 1)


async def test_who_has_lost_a_job_changes_nothing(database: Database) -> None:
    """Neither a zombie whose job went to another, nor one that has it again."""
    zombie = await a_run(database, is_dead=True)
    async with database.transaction() as tx:
        assert await tx.jobs.take_back_lost() == [zombie.id]
        worker_id = await a_worker(tx)
    taker = await fetched(database, worker_id)
    await _change_process(database, zombie.worker_id, is_dead=False)
    stale = JobRun(taker.id, taker.worker_id, taker.attempts - 1)
    async with database.transaction() as tx:
        for lost in (zombie, stale):
            assert not await tx.jobs.finish(lost, "succeeded")
            assert not await tx.jobs.give_back(lost)
        assert await tx.jobs.finish(taker, "succeeded")


async def test_an_abort_that_was_asked_for_ends_the_job(database: Database) -> None:
    """It is not given back, whether its worker stops it or has died."""
    run, lost = await a_run(database), await a_run(database, is_dead=True)
    await request_abort(database, run)
    await request_abort(database, lost)
    async with database.transaction() as tx:
        assert await tx.jobs.give_back(run)
        assert await tx.jobs.take_back_lost() == []
    assert await ask(database, "SELECT id FROM procrastinate_jobs") == []


async def test_the_jobs_of_the_living_are_left_alone(database: Database) -> None:
    """However long the engine's own heartbeat was silent: the process answers for it."""
    await a_run(database)
    await ask(database, "UPDATE procrastinate_workers SET last_heartbeat = 'epoch' RETURNING id")
    async with database.transaction() as tx:
        assert await tx.jobs.take_back_lost() == []


async def test_what_a_dropped_worker_left_is_taken_back(database: Database) -> None:
    """Also where its process lives: a new worker has taken its place."""
    run = await a_run(database)
    async with database.transaction() as tx:
        await tx.jobs.drop_worker(run.worker_id)
        assert await tx.jobs.take_back_lost() == [run.id]
    assert await waiting(database) == 1


async def test_what_a_worker_does_not_know_of_is_given_back(database: Database) -> None:
    """Its own jobs but those that it names; others' are left alone, aborted ones end."""
    known, unknown, other = [await a_run(database) for _ in range(3)]
    change = text("UPDATE procrastinate_jobs SET worker_id = :worker_id WHERE id = :id")
    async with database.transaction() as tx:
        values = {"worker_id": known.worker_id, "id": unknown.id}
        await tx.jobs._session.execute(change, values)
    async with database.transaction() as tx:
        assert await tx.jobs.give_back_others(known.worker_id, {known.id}) == [unknown.id]
        assert await tx.jobs.give_back_others(known.worker_id, {known.id}) == []
        assert await tx.jobs.finish(known, "succeeded")
        assert await tx.jobs.finish(other, "succeeded")
    assert await waiting(database) == 1


async def test_those_to_abort_are_listed(database: Database) -> None:
    """While they run."""
    run = await a_run(database)
    await a_run(database)
    await request_abort(database, run)
    async with database.transaction() as tx:
        assert await tx.jobs.list_to_abort() == [run.id]


async def test_dead_workers_are_forgotten(database: Database) -> None:
    """With their jobs taken back; those of a process that nobody knows any more, too."""
    await a_run(database, is_dead=True)
    async with database.transaction() as tx:
        alive = await a_worker(tx)
        await tx.jobs.add_worker(uuid4(), QUEUE)
        await tx.jobs.take_back_lost()
    assert await ask(database, "SELECT id FROM job_workers") == [(alive,)]
    assert await ask(database, "SELECT id FROM procrastinate_workers") == [(alive,)]


async def test_two_sweeps_at_once_give_each_job_to_one(database: Database) -> None:
    """The second passes by what the first has in hand."""
    runs = [await a_run(database, is_dead=True) for _ in range(3)]
    async with database.transaction() as one, database.transaction() as other:
        taken = await one.jobs.take_back_lost()
        assert await other.jobs.take_back_lost() == []
    assert sorted(taken) == [run.id for run in runs]
