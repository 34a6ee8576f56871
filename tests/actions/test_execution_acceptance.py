"""Accepting executions: what an execution would refuse is refused, the rest waits."""

import pytest

from app.actions.program_execution import ProgramExecutionInput
from app.actions.program_execution.options import ExecutionOptions
from app.checkpoints import Checkpoint
from app.database import Database
from app.errors import InvalidInputsError, ProgramNotReadyError
from app.models.states import ProgramStatus
from tests.support.adapters import ScriptedAdapter
from tests.support.factories import (
    QUESTION,
    a_program,
    a_run,
    a_signature,
    an_acceptance,
    records_of,
    the_record,
)


async def test_what_is_accepted_is_recorded_in_full(database: Database) -> None:
    """As what runs at once, but that it waits; the record in hand is the one that stands there."""
    program, adapter = await a_program(database), ScriptedAdapter()
    signature = await a_signature(database)
    accept = an_acceptance(database, adapter)
    reached: list[Checkpoint] = []
    accept._reached = reached.append
    options = ExecutionOptions(timeout=9, config={"temperature": 0.5})
    accepted = await accept(
        ProgramExecutionInput(program.id, QUESTION, options, {"ticket": 7}, "request-1")
    )
    record = await the_record(database, program)
    for one in (accepted, record):
        assert (one.id, one.status, one.program_name) == (record.id, "pending", program.name)
        assert (one.program_revision, one.signature_id) == (1, signature.id)
        assert (one.inputs, one.metadata_, one.request_id) == (QUESTION, {"ticket": 7}, "request-1")
        assert one.execution_options == options.as_document()
        assert (one.adapter_type, one.attempts, one.owner_id) == ("scripted", [], None)
        assert (one.created_at, one.started_at) == (record.created_at, None)
    assert adapter.calls == []
    assert reached == [Checkpoint.BEFORE_ACCEPT, Checkpoint.ACCEPTED]


async def test_what_cannot_run_is_refused(database: Database) -> None:
    """And nothing is recorded."""
    program = await a_program(database, status=ProgramStatus.ERROR, error="no such model")
    with pytest.raises(ProgramNotReadyError, match="no such model"):
        await an_acceptance(database, ScriptedAdapter())(a_run(program))
    ready = await a_program(database, name="ready")
    with pytest.raises(InvalidInputsError):
        await an_acceptance(database, ScriptedAdapter())(a_run(ready, {"question": 7}))
    assert await records_of(database, program) + await records_of(database, ready) == []
