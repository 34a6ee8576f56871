"""Values of some megabytes."""

from conformance.harness import Harness
from conformance.programs import a_call, a_program

MEGABYTE = "0123456789abcdef" * 65_536


async def test_takes_big_inputs(harness: Harness) -> None:
    """An input of a megabyte goes through."""
    call = a_call(a_program(config=harness.answering()), question=MEGABYTE)
    assert (await harness.adapter.execute_program(call)).outputs


async def test_gives_big_outputs(harness: Harness) -> None:
    """An output of a megabyte comes back whole."""
    said = {"answer": MEGABYTE, "mood": "bad", "score": 1.0}
    program = a_program(config=harness.saying(said))
    assert (await harness.adapter.execute_program(a_call(program))).outputs == said


async def test_gives_long_lists(harness: Harness) -> None:
    """A list of ten thousand texts comes back whole and in order."""
    said = {"tags": [f"tag {number}" for number in range(10_000)]}
    program = a_program("text: string -> tags: list[string]", config=harness.saying(said))
    assert (await harness.adapter.execute_program(a_call(program, text="x"))).outputs == said
