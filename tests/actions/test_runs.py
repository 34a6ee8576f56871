"""What runs in this process: called off when its record has been ended by somebody else."""

import asyncio
from uuid import uuid4

import pytest

from app.actions.program_execution.runs import EndedElsewhere, Runs
from app.adapters.base import ProgramCall, ProgramResult
from app.database import Database
from app.errors import ExecutionFailedError
from app.models import Program
from app.models.states import ExecutionStatus, Outcome
from tests.actions.test_execution_cancellation import under_way
from tests.support.adapters import ScriptedAdapter, answer
from tests.support.factories import OWNER_ID, a_program, a_run, an_action, the_record
from tests.support.wait import wait_until

CRASHED = {
    "status": ExecutionStatus.FAILED,
    "outcome": Outcome.EXECUTION_ERROR,
    "error": {
        "type": "worker_crashed",
        "message": "The process that ran it has died.",
        "context": {},
        "recoverable": True,
        "retry_after": None,
    },
}


async def _thinks(_: ProgramCall) -> ProgramResult:
    await asyncio.Future()
    raise AssertionError


async def _end(database: Database, program: Program) -> None:
    """End the record as a sweep does, and tell nobody."""
    record = await the_record(database, program)
    async with database.transaction() as tx:
        assert await tx.executions.finish(record.id, CRASHED) is not None


async def test_a_record_that_was_ended_elsewhere_ends_the_run(database: Database) -> None:
    """The caller is told what the record says; a second look finds nothing more to do."""
    program, runs = await a_program(database), Runs(lambda: OWNER_ID)
    look = EndedElsewhere(database, runs)
    action = an_action(database, ScriptedAdapter(_thinks), runs=runs)
    async with under_way(action, program, runs) as (running, execution_id):
        await look()
        await look()
        assert not running.done()
        await _end(database, program)
        await look()
        with pytest.raises(ExecutionFailedError, match="has died") as problem:
            await running
    assert problem.value.members["execution_id"] == str(execution_id)
    await look()
    assert runs.ids() == set()


async def test_a_run_that_has_just_begun_is_not_looked_for(database: Database) -> None:
    """The first look at it only remembers it, so that short runs cost no query."""
    program, runs = await a_program(database), Runs(lambda: OWNER_ID)
    look = EndedElsewhere(database, runs)
    action = an_action(database, ScriptedAdapter(_thinks), runs=runs)
    async with under_way(action, program, runs) as (running, _):
        await _end(database, program)
        await look()
        assert not running.done()
        await look()
        with pytest.raises(ExecutionFailedError):
            await running


async def test_what_ran_under_an_id_that_was_given_up_is_called_off(database: Database) -> None:
    """Under that id alone."""
    program, runs = await a_program(database), Runs(lambda: OWNER_ID)
    action = an_action(database, ScriptedAdapter(_thinks), runs=runs)
    async with under_way(action, program, runs) as (running, _):
        runs.give_up(uuid4())
        assert not running.cancelling()
        await _end(database, program)
        runs.give_up(OWNER_ID)
        with pytest.raises(ExecutionFailedError, match="has died"):
            await running


async def test_an_end_that_is_being_written_is_not_lost_to_a_call(database: Database) -> None:
    """Called off twice, a run is cancelled once; what it knows nothing of is passed by."""
    program, runs = await a_program(database), Runs(lambda: OWNER_ID)
    action = an_action(database, ScriptedAdapter(_thinks), runs=runs)
    async with under_way(action, program, runs) as (running, execution_id):
        await _end(database, program)
        runs.call_off([uuid4(), execution_id, execution_id])
        assert running.cancelling() == 1
        with pytest.raises(ExecutionFailedError):
            await running


async def test_a_record_is_written_by_its_owner_alone(database: Database) -> None:
    """An answer that comes after another took over is not written over what stands there."""
    program, runs = await a_program(database), Runs(lambda: OWNER_ID)
    go_on = asyncio.Event()

    async def think(_: ProgramCall) -> ProgramResult:
        await go_on.wait()
        return answer(answer="late")

    action = an_action(database, ScriptedAdapter(think), runs=runs)
    running = asyncio.create_task(action(a_run(program)))
    await wait_until(lambda: bool(runs.ids()))
    await _end(database, program)
    ended = await the_record(database, program)
    go_on.set()
    with pytest.raises(ExecutionFailedError, match="has died"):
        await running
    found = await the_record(database, program)
    assert (found.status, found.outputs, found.finished_at) == ("failed", None, ended.finished_at)


async def test_closing_ends_what_runs(database: Database) -> None:
    """It returns when the records have ended; nothing runs at all in an idle process."""
    program, runs = await a_program(database), Runs(lambda: OWNER_ID)
    await runs.close(10)
    action = an_action(database, ScriptedAdapter(_thinks), runs=runs)
    async with under_way(action, program, runs) as (running, _):
        await runs.close(10)
        assert running.cancelled()
    assert (await the_record(database, program)).status == "cancelled"


async def test_what_has_not_begun_is_not_known(database: Database) -> None:
    """A run without a record has nothing that anybody could end."""
    runs = Runs(lambda: OWNER_ID)
    with runs.run() as run:
        assert runs.ids() == set()
        runs.give_up(OWNER_ID)
        await EndedElsewhere(database, runs)()
    assert not run.is_called_off
