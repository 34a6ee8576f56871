"""Claimed executions: run as others are, on the revision that was accepted, and ended once."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from typing_extensions import override

from app.actions.program_catalogue import ProgramCatalogue, RunnableProgram
from app.actions.program_execution.runs import Runs
from app.adapters.base import ProgramCall, ProgramResult
from app.adapters.errors import AdapterError, ErrorType
from app.database import Database
from app.errors import DatabaseUnavailableError
from app.models import Execution, Program
from app.models.states import ProgramStatus
from app.policies.clock import SystemClock
from app.stores.pending_executions import Returning
from app.telemetry import current_request_id
from tests.support.adapters import ScriptedAdapter, answer
from tests.support.clock import ManualClock
from tests.support.factories import (
    OWNER_ID,
    a_background_run,
    a_program,
    a_run,
    an_acceptance,
    reloaded,
    the_claimed,
    the_record,
)

LOST = {
    "adapter": "scripted",
    "started_at": "2026-01-05T00:00:00Z",
    "duration_ms": 7.0,
    "error": AdapterError(ErrorType.WORKER_CRASHED, "It has died.").as_document(),
}


async def accepted(database: Database, program: Program, **options: Any) -> Execution:
    """Accept an execution and claim it."""
    await an_acceptance(database, ScriptedAdapter())(a_run(program, **options))
    return await the_claimed(database)


async def test_a_claimed_execution_is_run_to_its_end(database: Database) -> None:
    """With its inputs and options; it is recorded and counted as any other."""
    program = await a_program(database)
    adapter = ScriptedAdapter(AdapterError(ErrorType.OVERLOADED, "busy"), answer(answer="Paris"))
    execution = await accepted(database, program)
    await a_background_run(database, adapter)(execution)
    record = await the_record(database, program)
    assert (record.status, record.outcome, record.outputs) == (
        "completed",
        "success",
        {"answer": "Paris"},
    )
    assert [attempt["error"] is None for attempt in record.attempts] == [False, True]
    assert record.owner_id == OWNER_ID
    assert record.finished_at is not None
    async with database.transaction() as tx:
        await tx.programs.fold_counts()
    assert (await reloaded(database, program)).execution_count == 1


async def test_lost_attempts_stay_in_the_record(database: Database) -> None:
    """Before those of this run, which has all its retries."""
    program = await a_program(database)
    busy = AdapterError(ErrorType.OVERLOADED, "busy")
    adapter = ScriptedAdapter(busy, answer(answer="Paris"))
    execution = await accepted(database, program, max_retries=1)
    async with database.transaction() as tx:
        await tx.pending_executions.give_back([Returning(execution.id, [LOST], is_suspect=False)])
    await a_background_run(database, adapter)(await the_claimed(database))
    record = await the_record(database, program)
    assert record.status == "completed"
    assert record.attempts[0] == LOST
    assert len(record.attempts) == 3


async def test_a_failure_is_recorded_and_raises_nothing(database: Database) -> None:
    """Nobody waits for it."""
    program = await a_program(database)
    adapter = ScriptedAdapter(AdapterError(ErrorType.AUTHENTICATION, "no such key"))
    await a_background_run(database, adapter)(await accepted(database, program))
    record = await the_record(database, program)
    assert (record.status, record.outcome) == ("failed", "execution_error")


async def test_a_bug_is_recorded_and_raised(database: Database) -> None:
    """Whoever runs it writes the trace into the log; as options that nobody knows here."""
    program = await a_program(database)
    execution = await accepted(database, program)
    execution.execution_options["no such option"] = 1
    with pytest.raises(TypeError):
        await a_background_run(database, ScriptedAdapter())(execution)
    record = await the_record(database, program)
    assert (record.status, record.outcome) == ("failed", "exception")


async def test_the_accepted_revision_runs(database: Database) -> None:
    """Whatever has become of the program since, a later revision in error included."""
    program, adapter = await a_program(database), ScriptedAdapter(answer(answer="Paris"))
    execution = await accepted(database, program)
    async with database.transaction() as tx:
        setup = {"adapter": "scripted", "config": {"lm": "new"}, "state": None}
        await tx.programs.add_revision(await tx.programs.hold(program.id), setup)
        await tx.programs.change(program.id, {"revision": 2})
        await tx.programs.mark(program.id, ProgramStatus.INITIALIZING)
        await tx.programs.mark(program.id, ProgramStatus.ERROR, error="no such model")
    await a_background_run(database, adapter)(execution)
    assert (await the_record(database, program)).status == "completed"
    assert adapter.calls[0].program.revision == 1


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (ProgramStatus.ARCHIVED, "The program answerer is archived."),
        (ProgramStatus.ERROR, "The program answerer is error: no such model"),
    ],
)
async def test_a_program_that_is_gone_fails_it(
    database: Database, status: ProgramStatus, message: str
) -> None:
    """With its own words, and no attempt."""
    program = await a_program(database)
    execution = await accepted(database, program)
    async with database.transaction() as tx:
        if status is ProgramStatus.ERROR:
            await tx.programs.mark(program.id, ProgramStatus.INITIALIZING)
        error = "no such model" if status is ProgramStatus.ERROR else None
        await tx.programs.mark(program.id, status, error=error)
    await a_background_run(database, ScriptedAdapter())(execution)
    record = await the_record(database, program)
    assert (record.status, record.attempts) == ("failed", [])
    assert record.error is not None
    assert (record.error["type"], record.error["message"]) == ("program_not_found", message)


async def test_an_adapter_that_is_gone_fails_it(database: Database) -> None:
    """This process does not have it any more."""
    program = await a_program(database)
    await a_background_run(database)(await accepted(database, program))
    record = await the_record(database, program)
    assert record.error is not None
    assert record.error["message"] == "There is no adapter 'scripted' any more."


class _Forgetful(ProgramCatalogue):
    """Does not know the first time."""

    knows = False

    @override
    async def recall(self, program_id: UUID, revision: int | None = None) -> RunnableProgram:
        if not self.knows:
            self.knows = True
            raise DatabaseUnavailableError("The database does not answer.")
        return await super().recall(program_id, revision)


async def test_an_outage_before_it_begins_is_waited_for(database: Database) -> None:
    """It is claimed: nobody else would run it."""
    program, clock = await a_program(database), ManualClock()
    execution = await accepted(database, program)
    forgetful = _Forgetful(database, SystemClock())
    adapter = ScriptedAdapter(answer(answer="Paris"))
    await a_background_run(database, adapter, clock=clock, catalogue=forgetful)(execution)
    assert clock.slept == [1.0]
    assert (await the_record(database, program)).status == "completed"


async def test_a_cancelled_run_writes_nothing(database: Database) -> None:
    """Its record was ended from outside, or another process will run it."""
    program, runs, called = await a_program(database), Runs(lambda: OWNER_ID), asyncio.Event()

    async def think(_: ProgramCall) -> ProgramResult:
        called.set()
        await asyncio.Future()
        raise AssertionError

    execution = await accepted(database, program)
    run = a_background_run(database, ScriptedAdapter(think), runs=runs)
    running = asyncio.create_task(run(execution))
    await asyncio.wait_for(called.wait(), 10)
    runs.call_off([execution.id])
    with pytest.raises(asyncio.CancelledError):
        await running
    assert runs.ids() == set()
    found = await the_record(database, program)
    assert (found.status, found.attempts) == ("running", [])


async def test_what_another_process_runs_by_now_is_not_ended(database: Database) -> None:
    """This one was frozen, and its answer comes too late."""
    program = await a_program(database)
    execution = await accepted(database, program)
    async with database.transaction() as tx:
        await tx.pending_executions.give_back([Returning(execution.id, [], is_suspect=False)])
    other = await the_claimed(database, uuid4())
    await a_background_run(database, ScriptedAdapter(answer(answer="late")))(execution)
    record = await the_record(database, program)
    assert (record.status, record.owner_id) == ("running", other.owner_id)
    assert record.outputs is None


async def test_it_is_told_of_under_its_request(database: Database) -> None:
    """The log lines of a run name the request that asked for it."""
    program, seen = await a_program(database), list[str | None]()

    async def think(_: ProgramCall) -> ProgramResult:
        seen.append(current_request_id.get())
        return answer(answer="Paris")

    execution = await accepted(database, program)
    execution.request_id = "request-1"
    await a_background_run(database, ScriptedAdapter(think))(execution)
    assert seen == ["request-1"]
