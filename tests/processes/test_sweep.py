from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text, update
from typing_extensions import override

from app.database import Database
from app.models import Execution, Process
from app.models.pending_executions import QUEUE
from app.models.states import ExecutionStatus
from app.policies.clock import SystemClock
from app.processes.channel import ControlChannel, Kind
from app.processes.heartbeat import Heartbeat
from app.processes.orphans import AT_ONCE
from app.processes.sweep import Sweep
from app.settings import ProcessesSettings, Settings
from tests.stores.rows import ABOUT, a_process
from tests.stores.test_pending_executions import a_pending
from tests.support.factories import a_program, an_execution, new_ids, reloaded

PROCESSES = ProcessesSettings()


class _Steady(Heartbeat):
    """A process that has entered, and is as steady as it is told."""

    steady = True

    @property
    @override
    def is_steady(self) -> bool:
        return self.steady


@asynccontextmanager
async def sweeping(
    database: Database, settings: Settings
) -> AsyncIterator[tuple[Sweep, _Steady, list[UUID]]]:
    """Make a sweep of a process that lives; list the executions of whose end it tells."""
    clock, told = SystemClock(), list[UUID]()
    channel = ControlChannel(clock, Random(0))  # noqa: S311 - jitter
    channel.subscribe(Kind.ENDED, told.extend, lambda: None)
    connect = partial(Database.connect, settings.database)
    heartbeat = _Steady(connect, ABOUT, new_ids(), PROCESSES, clock)
    await heartbeat.open(database, lambda _: None)
    yield Sweep(database, heartbeat, channel, PROCESSES), heartbeat, told
    await heartbeat.close()


async def processes(database: Database, *silent_s: float) -> list[UUID]:
    """Add processes that were last heard of so long ago."""
    async with database.transaction() as tx:
        return [await a_process(tx, silent_s=seconds) for seconds in silent_s]


async def read(database: Database, execution: Execution) -> Execution:
    """Read a record as it stands."""
    async with database.transaction() as tx:
        return await tx.executions.get(execution.id)


async def test_what_the_dead_left_running_is_ended(database: Database, settings: Settings) -> None:
    """As the crash of a worker, counted and told; by whoever sweeps first."""
    program = await a_program(database)
    async with sweeping(database, settings) as (sweep, _, told):
        (dead,) = await processes(database, 99)
        left = await an_execution(database, program, owner_id=dead)
        await sweep()
        found = await read(database, left)
        await sweep()
        again = await read(database, left)
    assert (found.status, found.outcome) == ("failed", "execution_error")
    assert found.error == {
        "type": "worker_crashed",
        "message": "The process that ran it has died.",
        "context": {},
        "recoverable": True,
        "retry_after": None,
    }
    assert found.finished_at is not None
    assert found.duration_ms is not None
    assert found.duration_ms > 0
    assert again.finished_at == found.finished_at
    assert told == [left.id]
    async with database.transaction() as tx:
        await tx.programs.fold_counts()
    assert (await reloaded(database, program)).execution_count == 1


async def test_everything_else_is_left_alone(database: Database, settings: Settings) -> None:
    """What the living run, what belongs to a batch, what has ended, what has no owner."""
    program = await a_program(database)
    async with sweeping(database, settings) as (sweep, heartbeat, told):
        dead, alive = await processes(database, 99, 1)
        kept = [
            await an_execution(database, program, owner_id=heartbeat.id),
            await an_execution(database, program, owner_id=alive),
            await an_execution(database, program, owner_id=dead, batch_id=uuid4(), item_index=0),
            await an_execution(database, program),
        ]
        ended = await an_execution(database, program, owner_id=dead, end={"outputs": {"a": 1}})
        await sweep()
        statuses = [(await read(database, one)).status for one in kept]
        found = await read(database, ended)
    assert statuses == [ExecutionStatus.RUNNING] * 4
    assert (found.status, found.outputs, found.error) == ("completed", {"a": 1}, None)
    assert told == []


async def test_where_nobody_has_ended_there_is_nothing_to_do(
    database: Database, settings: Settings
) -> None:
    """An execution of an unknown owner is none of a dead one."""
    program = await a_program(database)
    async with sweeping(database, settings) as (sweep, _, told):
        left = await an_execution(database, program, owner_id=uuid4())
        await sweep()
        assert (await read(database, left)).status == "running"
    assert told == []


async def test_what_runs_in_the_background_waits_again(
    database: Database, settings: Settings
) -> None:
    """It is not ended, and nobody is told of an end; somebody is woken up."""
    async with sweeping(database, settings) as (sweep, _, told):
        (dead,) = await processes(database, 99)
        async with database.transaction() as tx:
            execution_id = await a_pending(tx)
            await tx.pending_executions.claim(dead, 1)
        await sweep()
        async with database.transaction() as tx:
            found = await tx.executions.get(execution_id)
            assert await tx.pending_executions.count() == 1
            assert await tx.jobs.count_waiting() == {QUEUE: 1}
    assert (found.status, found.owner_id) == ("pending", None)
    assert [one["error"]["type"] for one in found.attempts] == ["worker_crashed"]
    assert told == []


async def test_what_three_processes_died_of_is_ended(
    database: Database, settings: Settings
) -> None:
    """As what has no other chance: counted and told."""
    program = await a_program(database)
    async with sweeping(database, settings) as (sweep, _, told):
        async with database.transaction() as tx:
            execution_id = await a_pending(tx, program_id=program.id)
        for _ in range(3):
            (dead,) = await processes(database, 99)
            async with database.transaction() as tx:
                (claimed,) = (await tx.pending_executions.claim(dead, 1)).executions
                await tx.pending_executions.start(claimed)
            await sweep()
    assert told == [execution_id]
    async with database.transaction() as tx:
        assert (await tx.executions.get(execution_id)).status == "failed"
        await tx.programs.fold_counts()
    assert (await reloaded(database, program)).execution_count == 1


async def test_who_is_not_steady_leaves_the_others_alone(
    database: Database, settings: Settings
) -> None:
    """After an outage of the database everybody has a lease to come back."""
    program = await a_program(database)
    async with sweeping(database, settings) as (sweep, heartbeat, _):
        (silent,) = await processes(database, 99)
        left = await an_execution(database, program, owner_id=silent)
        heartbeat.steady = False
        await sweep()
        assert (await read(database, left)).status == "running"
        heartbeat.steady = True
        await sweep()
        assert (await read(database, left)).status == "failed"


async def test_what_somebody_else_is_ending_is_left_to_him(
    database: Database, settings: Settings
) -> None:
    """A row that is locked is passed by, and looked at again by the next sweep."""
    program = await a_program(database)
    async with sweeping(database, settings) as (sweep, _, _):
        (dead,) = await processes(database, 99)
        one, other = [await an_execution(database, program, owner_id=dead) for _ in range(2)]
        async with database.transaction() as tx:
            lock = text("SELECT 1 FROM executions WHERE id = :id FOR UPDATE")
            await tx.executions._session.execute(lock, {"id": one.id})
            await sweep()
            assert (await read(database, other)).status == "failed"
        assert (await read(database, one)).status == "running"
        await sweep()
        assert (await read(database, one)).status == "failed"


async def test_many_end_in_slices(database: Database, settings: Settings) -> None:
    """One sweep ends them all, whatever one transaction takes."""
    program = await a_program(database)
    async with sweeping(database, settings) as (sweep, _, told):
        (dead,) = await processes(database, 99)
        pattern = await an_execution(database, program, owner_id=dead)
        await repeated(database, pattern, AT_ONCE)
        await sweep()
    assert len(set(told)) == AT_ONCE + 1


async def repeated(database: Database, execution: Execution, times: int) -> None:
    """Add records like this one."""
    columns = [name for name in Execution.__table__.c.keys() if name != "id"]  # noqa: SIM118
    names = ", ".join(columns)
    statement = text(
        f"INSERT INTO executions (id, {names}) SELECT n.id, {names}"  # noqa: S608 - our own columns
        " FROM executions, unnest(CAST(:ids AS uuid[])) AS n (id) WHERE executions.id = :id"
    )
    ids = new_ids()
    values: dict[str, Any] = {"id": execution.id, "ids": [ids.new() for _ in range(times)]}
    async with database.transaction() as tx:
        await tx.executions._session.execute(statement, values)


@pytest.mark.parametrize(("hours", "count"), [(23, 2), (25, 1)])
async def test_the_rows_of_the_dead_are_forgotten_after_a_day(
    database: Database, settings: Settings, hours: int, count: int
) -> None:
    """So long people can see who it was."""
    async with sweeping(database, settings) as (sweep, _, _):
        async with database.transaction() as tx:
            await a_process(tx, ended_s=hours * 3_600)
        await sweep()
        async with database.transaction() as tx:
            session = tx.processes._session
            found = (await session.scalars(text("SELECT count(*) FROM processes"))).one()
    assert found == count


async def test_an_execution_begun_under_an_id_that_was_given_up_is_ended(
    database: Database, settings: Settings
) -> None:
    """A process that was frozen in the middle of a beginning leaves nothing running either."""
    program = await a_program(database)
    async with sweeping(database, settings) as (sweep, _, told):
        (frozen,) = await processes(database, 99)
        await sweep()
        late = await an_execution(database, program, owner_id=frozen)
        await sweep()
    assert told == [late.id]


async def test_a_machine_whose_clock_is_behind_is_missed_too(
    database: Database, settings: Settings
) -> None:
    """Its executions have ids older than its row."""
    program = await a_program(database)
    async with sweeping(database, settings) as (sweep, _, told):
        (dead,) = await processes(database, 99)
        left = await an_execution(database, program, owner_id=dead)
        async with database.transaction() as tx:
            moved = text("now() + interval '23 hours'")
            statement = update(Process).where(Process.id == dead).values(started_at=moved)
            await tx.processes._session.execute(statement)
        await sweep()
    assert told == [left.id]
