"""Runs of a program: what is recorded, what is answered, what is counted."""

import asyncio
import logging
from contextlib import AbstractAsyncContextManager, AsyncExitStack

import pytest
from sqlalchemy import text

from app.actions.program_execution import ProgramExecutionInput
from app.actions.program_execution.options import ExecutionOptions
from app.adapters.base import ProgramCall, ProgramResult
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.usage import Usage
from app.database import Database
from app.errors import DatabaseUnavailableError, ExecutionFailedError
from app.models.states import ExecutionStatus
from app.settings import Settings
from tests.support.adapters import ScriptedAdapter, answer
from tests.support.clock import ManualClock
from tests.support.factories import (
    QUESTION,
    a_narrow_database,
    a_program,
    a_run,
    a_signature,
    an_action,
    records_of,
    reloaded,
    the_record,
)
from tests.support.wait import wait_until, written


def _connections_in_use(database: Database) -> int:
    return database._engine.pool.checkedout()  # type: ignore[attr-defined, no-any-return]


def _connection(database: Database) -> AbstractAsyncContextManager[object]:
    """Take a connection out of the pool."""
    return database._engine.connect()


async def test_a_run_that_succeeds_is_recorded_in_full(database: Database) -> None:
    """The record says who, what, on which version, how long, at what cost; the answer is it."""
    program = await a_program(database)
    signature = await a_signature(database)
    clock = ManualClock()

    async def think(_: ProgramCall) -> ProgramResult:
        clock.advance(1.5)
        usage = Usage(3, 2, 5, 1)
        return ProgramResult({"answer": "Paris"}, "member", usage=usage, details={"votes": 2})

    action = an_action(database, ScriptedAdapter(think), clock=clock)
    options = ExecutionOptions(timeout=9, config={"temperature": 0.5})
    wanted = ProgramExecutionInput(program.id, QUESTION, options, {"ticket": 7}, "request-1")
    execution = await action(wanted)

    assert execution.status == ExecutionStatus.COMPLETED
    assert execution.outcome == "success"
    assert execution.program_id == program.id
    assert (execution.program_name, execution.program_revision) == ("answerer", 1)
    assert (execution.signature_id, execution.signature_name, execution.signature_version) == (
        signature.id,
        "answer_question",
        1,
    )
    assert (execution.adapter_type, execution.adapter) == ("scripted", "member")
    assert (execution.inputs, execution.outputs) == (QUESTION, {"answer": "Paris"})
    assert (execution.raw_output, execution.error) == (None, None)
    assert execution.details == {"votes": 2}
    assert execution.attempts == [
        {
            "adapter": "member",
            "started_at": "2026-01-05T00:00:00Z",
            "duration_ms": 1500.0,
            "error": None,
        }
    ]
    assert execution.usage == {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "total_tokens": 5,
        "lm_calls": 1,
    }
    assert execution.duration_ms == 1500.0
    assert execution.execution_options == options.as_document()
    assert (execution.metadata_, execution.request_id) == ({"ticket": 7}, "request-1")
    assert execution.finished_at is not None
    assert execution.created_at <= execution.finished_at
    stored = await the_record(database, program)
    assert stored.outputs == execution.outputs
    assert stored.attempts == execution.attempts


async def test_the_adapter_gets_the_program_and_the_converted_inputs(database: Database) -> None:
    """What is called is the stored revision, with inputs as the signature converts them."""
    program = await a_program(database, "limit: integer, tags: list[string] = [] -> answer: string")
    adapter = ScriptedAdapter(answer(answer="4"))
    wanted = a_run(program, {"limit": "4"}, config={"temperature": 0})
    execution = await an_action(database, adapter)(wanted)
    (call,) = adapter.calls
    assert call.inputs == {"limit": 4, "tags": []} == execution.inputs
    assert (call.program.program_id, call.program.revision) == (program.id, 1)
    assert (call.program.name, call.program.module) == ("answerer", "predict")
    assert call.program.signature.notation == (
        "limit: integer, tags: list[string] = [] -> answer: string"
    )
    assert (call.config, call.attempt) == ({"temperature": 0}, 1)


async def test_outputs_are_converted(database: Database) -> None:
    """What the model said as text becomes what the signature asks for."""
    program = await a_program(database, "question: string -> count: integer")
    adapter = ScriptedAdapter(answer(count="42"))
    execution = await an_action(database, adapter)(a_run(program))
    assert execution.outputs == {"count": 42}


async def test_no_connection_is_held_while_the_adapter_is_awaited(database: Database) -> None:
    """The pool is full of free connections at the moment of the call."""
    program = await a_program(database)
    in_use = []
    adapter = ScriptedAdapter(
        answer(answer="a"), before_call=lambda: in_use.append(_connections_in_use(database))
    )
    await an_action(database, adapter)(a_run(program))
    assert in_use == [0]


async def test_fifty_slow_runs_hold_no_connection(database: Database) -> None:
    """Many more executions than connections are in flight, and the pool is free."""
    program = await a_program(database)
    go_on = asyncio.Event()

    async def slowly(_: ProgramCall) -> ProgramResult:
        await go_on.wait()
        return answer(answer="a")

    adapter = ScriptedAdapter(*[slowly] * 50)
    action = an_action(database, adapter)
    runs = [asyncio.create_task(action(a_run(program))) for _ in range(50)]
    await wait_until(lambda: len(adapter.calls) == 50)
    assert _connections_in_use(database) == 0
    records = await records_of(database, program)
    assert [record.status for record in records] == ["running"] * 50
    go_on.set()
    assert {run.status for run in await asyncio.gather(*runs)} == {"completed"}
    assert _connections_in_use(database) == 0


async def test_runs_are_counted_exactly(database: Database) -> None:
    """A hundred runs at once, failed ones too, leave a hundred on the program's counter."""
    program = await a_program(database)
    failure = AdapterError(ErrorType.INVALID_REQUEST, "no")
    adapter = ScriptedAdapter(*[answer(answer="a")] * 50, *[failure] * 50)
    action = an_action(database, adapter)
    ended = await asyncio.gather(
        *(action(a_run(program)) for _ in range(100)), return_exceptions=True
    )
    assert sum(isinstance(one, ExecutionFailedError) for one in ended) == 50
    program = await reloaded(database, program)
    records = await records_of(database, program)
    assert program.execution_count == len(records) == 100
    assert program.last_executed_at == max(
        record.finished_at for record in records if record.finished_at
    )


async def test_a_second_action_on_the_same_signature_reads_it_from_memory(
    database: Database,
) -> None:
    """Two runs of one action give the same answer, the second without compiling again."""
    program = await a_program(database)
    action = an_action(database, ScriptedAdapter(answer(answer="a"), answer(answer="b")))
    first, second = await action(a_run(program)), await action(a_run(program))
    assert (first.outputs, second.outputs) == ({"answer": "a"}, {"answer": "b"})
    assert first.id < second.id


async def test_a_record_that_somebody_else_cancelled_stays_as_it_is(database: Database) -> None:
    """The run's own end changes nothing, counts nothing, and the caller hears of the other's."""
    program = await a_program(database)

    async def overtaken(_: ProgramCall) -> ProgramResult:
        record = await the_record(database, program)
        async with database.transaction() as tx:
            ending = {"status": "cancelled", "outcome": "cancelled"}
            await tx.executions.finish(record.id, ending)
        return answer(answer="late")

    action = an_action(database, ScriptedAdapter(overtaken))
    with pytest.raises(Exception, match="ended from outside") as told:
        await action(a_run(program))
    record = await the_record(database, program)
    assert (record.status, record.outputs, record.attempts) == ("cancelled", None, [])
    assert told.value.members["execution_id"] == str(record.id)  # type: ignore[attr-defined]
    assert (await reloaded(database, program)).execution_count == 0


async def test_a_record_that_somebody_else_completed_is_the_answer(database: Database) -> None:
    """Whoever ends a record first is right."""
    program = await a_program(database)

    async def overtaken(_: ProgramCall) -> ProgramResult:
        record = await the_record(database, program)
        async with database.transaction() as tx:
            ending = {"status": "completed", "outcome": "success", "outputs": {"answer": "first"}}
            await tx.executions.finish(record.id, ending)
        return answer(answer="late")

    execution = await an_action(database, ScriptedAdapter(overtaken))(a_run(program))
    assert execution.outputs == {"answer": "first"}


async def test_an_answer_that_cannot_be_stored_ends_the_record_all_the_same(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Details that are no JSON are a bug that climbs; the record is failed and not running."""
    caplog.set_level(logging.INFO)
    program = await a_program(database)
    usage = Usage(lm_calls=1)
    result = ProgramResult({"answer": "a"}, "scripted", usage=usage, details={"odd": object()})
    with pytest.raises(Exception, match="Unable to serialize unknown type"):
        await an_action(database, ScriptedAdapter(result))(a_run(program))
    record = await the_record(database, program)
    assert (record.status, record.outcome) == ("failed", "exception")
    assert record.error["message"] == "The adapter's answer cannot be stored."  # type: ignore[index]
    assert record.usage["lm_calls"] == 1  # type: ignore[index]
    assert (await reloaded(database, program)).execution_count == 1
    assert f"execution {record.id} of answerer ended: exception" in caplog.text


async def test_a_result_that_is_none_ends_the_record_all_the_same(database: Database) -> None:
    """An adapter that breaks the protocol makes a bug that climbs, and a record that is failed."""
    program = await a_program(database)

    async def broken(_: ProgramCall) -> ProgramResult:
        return None  # type: ignore[return-value]

    with pytest.raises(AttributeError):
        await an_action(database, ScriptedAdapter(broken))(a_run(program))
    record = await the_record(database, program)
    assert (record.status, record.outcome) == ("failed", "exception")
    assert record.error["type"] == "unexpected"  # type: ignore[index]


async def test_a_database_that_is_away_at_the_beginning_is_told(
    settings: Settings, database: Database
) -> None:
    """Without a connection nothing is accepted, and the adapter is not called."""
    program = await a_program(database)
    adapter = ScriptedAdapter(answer(answer="a"))
    async with a_narrow_database(settings) as narrow:
        action = an_action(narrow, adapter)
        async with _connection(narrow):
            with pytest.raises(DatabaseUnavailableError):
                await action(a_run(program))
    assert adapter.calls == []
    assert await records_of(database, program) == []


async def test_a_database_that_is_away_at_the_end_is_told(database: Database) -> None:
    """Where the end is not written in time, the caller hears that, and which record it is.

    The answer is kept: it is written when the database is back.
    """
    program = await a_program(database)
    clock = ManualClock()
    async with AsyncExitStack() as held:

        async def while_records_are_locked(_: ProgramCall) -> ProgramResult:
            tx = await held.enter_async_context(database.transaction())
            await tx.executions._session.execute(text("LOCK TABLE executions IN SHARE MODE"))
            clock.advance(5)
            return answer(answer="a")

        action = an_action(database, ScriptedAdapter(while_records_are_locked), clock=clock)
        with pytest.raises(DatabaseUnavailableError) as told:
            await action(a_run(program, deadline_ms=5_000))
    await written()
    record = await the_record(database, program)
    assert told.value.members == {"execution_id": str(record.id)}
    assert (record.status, record.outputs) == ("completed", {"answer": "a"})
    assert (await reloaded(database, program)).execution_count == 1
