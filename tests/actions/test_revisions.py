"""Executions of a pinned revision: its adapter, config and state, while the program goes on."""

from typing import Any

import pytest

from app.database import Database
from app.errors import ProgramNotReadyError, RevisionNotFoundError
from app.models import Program
from tests.support.adapters import ScriptedAdapter, answer
from tests.support.factories import a_program, a_run, an_action, records_of

OLD_STATE: dict[str, Any] = {"demos": []}


async def a_revised_program(database: Database, **changes: Any) -> Program:
    """Store a program whose first revision had another adapter, config and state."""
    program = await a_program(database, adapter="old")
    async with database.transaction() as tx:
        program = await tx.programs.get(program.id)
        program.revision, program.state = 2, OLD_STATE
        await tx.programs.add_revision(program, {})
        program.revision, program.state = 3, None
        program.adapter, program.config = "new", {"temperature": 1}
        for name, value in changes.items():
            setattr(program, name, value)
        await tx.programs.add_revision(program, {})
    return program


async def test_a_pinned_revision_runs_as_it_was(database: Database) -> None:
    """On its own adapter, with its own config and state; the record names the revision."""
    program = await a_revised_program(database)
    old = ScriptedAdapter(answer(answer="a"), answer(answer="b"), name="old")
    new = ScriptedAdapter(*[answer(answer="c")] * 2, name="new")
    action = an_action(database, old, new)
    for revision in (1, 2, 3, None):
        await action(a_run(program, revision=revision))
    records = await records_of(database, program)
    assert [record.program_revision for record in records] == [1, 2, 3, 3]
    programs = [call.program for call in (*old.calls, *new.calls)]
    assert [(program.revision, program.config, program.state) for program in programs] == [
        (1, {}, None),
        (2, {}, OLD_STATE),
        (3, {"temperature": 1}, None),
        (3, {"temperature": 1}, None),
    ]


async def test_a_revision_that_never_was_is_not_run(database: Database) -> None:
    """It is told by its number, and nothing is recorded."""
    program = await a_revised_program(database)
    with pytest.raises(RevisionNotFoundError, match="no revision 4"):
        await an_action(database, ScriptedAdapter())(a_run(program, revision=4))
    assert await records_of(database, program) == []


async def test_a_revision_on_an_adapter_that_is_gone_is_refused(database: Database) -> None:
    """The refusal names the adapter of the revision, not that of the program."""
    program = await a_revised_program(database)
    with pytest.raises(ProgramNotReadyError, match="no adapter 'old' any more"):
        await an_action(database, ScriptedAdapter(name="new"))(a_run(program, revision=1))
