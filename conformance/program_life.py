"""Programs as they come and go."""

from app.adapters.base import ProgramInfo
from conformance.harness import Harness
from conformance.programs import a_program


async def test_is_held_once_created(harness: Harness) -> None:
    """A created program is listed and described."""
    program = a_program(config=harness.answering())
    await harness.adapter.create_program(program)
    info = ProgramInfo(program.program_id, 1, "triage")
    assert await harness.adapter.get_program_info(program.program_id) == info
    assert list(await harness.adapter.list_programs()) == [info]


async def test_is_replaced_by_the_same_id(harness: Harness) -> None:
    """Creating a program again leaves one program, at the new revision."""
    first = a_program(config=harness.answering())
    second = a_program(config=harness.answering(), program_id=first.program_id, revision=2)
    await harness.adapter.create_program(first)
    await harness.adapter.create_program(second)
    assert [info.revision for info in await harness.adapter.list_programs()] == [2]


async def test_is_gone_once_deleted(harness: Harness) -> None:
    """A deleted program is not held, and a second deletion finds nothing."""
    program = a_program(config=harness.answering())
    await harness.adapter.create_program(program)
    assert await harness.adapter.delete_program(program.program_id) is True
    assert await harness.adapter.delete_program(program.program_id) is False
    assert list(await harness.adapter.list_programs()) == []
