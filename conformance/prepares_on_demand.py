"""Programs that were never created here."""

import pytest

from app.adapters.errors import AdapterError
from conformance.harness import Harness
from conformance.programs import a_call, a_program


async def test_runs_without_being_created(harness: Harness) -> None:
    """A call of a program that is not held prepares it, and it is held from then on."""
    program = a_program(config=harness.answering())
    await harness.adapter.execute_program(a_call(program))
    held = await harness.adapter.get_program_info(program.program_id)
    assert held.revision == 1


async def test_runs_another_revision(harness: Harness) -> None:
    """A call of a revision that is not held prepares that one; the newest is what is told."""
    first = a_program(config=harness.answering())
    second = a_program(
        "question: string -> colour: string",
        config=harness.answering(),
        program_id=first.program_id,
        revision=2,
    )
    await harness.adapter.create_program(second)
    assert "answer" in (await harness.adapter.execute_program(a_call(first))).outputs
    assert "colour" in (await harness.adapter.execute_program(a_call(second))).outputs
    assert [info.revision for info in await harness.adapter.list_programs()] == [2]


async def test_fails_where_it_cannot_be_prepared(harness: Harness) -> None:
    """What `create_program` would refuse, a call refuses too, and nothing is held."""
    program = a_program(config=harness.wrong())
    with pytest.raises(AdapterError):
        await harness.adapter.execute_program(a_call(program))
    assert list(await harness.adapter.list_programs()) == []
