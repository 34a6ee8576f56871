"""What is refused before anything is recorded."""

import uuid

import pytest

from app.actions.program_execution import ProgramExecutionInput
from app.database import Database
from app.errors import InvalidInputsError, ProgramNotFoundError, ProgramNotReadyError
from app.models.states import ProgramStatus
from tests.support.adapters import ScriptedAdapter
from tests.support.factories import a_program, a_run, an_action, records_of, reloaded


async def test_an_unknown_program_is_not_found(database: Database) -> None:
    """A program that is not there cannot run."""
    program_id = uuid.uuid4()
    with pytest.raises(ProgramNotFoundError, match=str(program_id)):
        await an_action(database)(ProgramExecutionInput(program_id, {}))


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (ProgramStatus.DRAFT, None, "The program answerer is draft."),
        (ProgramStatus.INITIALIZING, None, "The program answerer is initializing."),
        (ProgramStatus.ERROR, "no such model", "The program answerer is error: no such model"),
        (ProgramStatus.ARCHIVED, None, "The program answerer is archived."),
    ],
)
async def test_a_program_that_is_not_ready_is_refused(
    database: Database, status: ProgramStatus, error: str | None, words: str
) -> None:
    """The refusal tells the program's status and its own error; no record is left."""
    program = await a_program(database, status=status, error=error)
    adapter = ScriptedAdapter()
    with pytest.raises(ProgramNotReadyError) as refused:
        await an_action(database, adapter)(a_run(program))
    assert refused.value.detail == words
    assert refused.value.members == {"program_status": status, "program_error": error}
    assert await records_of(database, program) == []
    assert adapter.calls == []


async def test_a_program_whose_adapter_is_gone_is_refused(database: Database) -> None:
    """A ready program on an adapter that the settings no longer name cannot run."""
    program = await a_program(database, adapter="departed")
    with pytest.raises(ProgramNotReadyError, match="no adapter 'departed' any more") as refused:
        await an_action(database, ScriptedAdapter())(a_run(program))
    assert refused.value.members["program_error"] == "There is no adapter 'departed' any more."
    assert await records_of(database, program) == []


async def test_every_fault_of_the_inputs_is_told_and_nothing_is_recorded(
    database: Database,
) -> None:
    """All faults come at once, each with its path, and nothing counts as run."""
    notation = "question: string, tags: list[string], limit: integer -> answer: string"
    program = await a_program(database, notation)
    inputs = {"tags": ["a", 1], "limit": "many", "other": 1}
    with pytest.raises(InvalidInputsError, match="do not fit answer_question") as refused:
        await an_action(database, ScriptedAdapter())(a_run(program, inputs))
    assert {fault.path for fault in refused.value.faults} == {
        "/inputs/question",
        "/inputs/tags/1",
        "/inputs/limit",
        "/inputs/other",
    }
    assert await records_of(database, program) == []
    assert (await reloaded(database, program)).execution_count == 0
