"""Running a program."""

from app.signatures.compile import CompiledSignature
from conformance.harness import Harness
from conformance.programs import a_call, a_program


async def test_gives_valid_outputs(harness: Harness) -> None:
    """A program that answers gives exactly the outputs of its signature, valid as they stand."""
    program = a_program(config=harness.answering())
    result = await harness.adapter.execute_program(a_call(program))
    assert CompiledSignature(program.signature).validate_outputs(result.outputs) == result.outputs


async def test_names_itself_and_counts_the_call(harness: Harness) -> None:
    """A result says which adapter gave it and what it cost."""
    result = await harness.adapter.execute_program(a_call(a_program(config=harness.answering())))
    assert result.adapter in harness.answers_as
    assert 1 <= result.usage.lm_calls <= harness.most_calls


async def test_gives_what_the_back_end_said(harness: Harness) -> None:
    """The outputs are the back-end's, member for member."""
    said = {"answer": "Fine.", "mood": "good", "score": 0.25}
    program = a_program(config=harness.saying(said))
    result = await harness.adapter.execute_program(a_call(program))
    assert result.outputs == said
    assert result.raw_output


async def test_takes_the_signatures_that_it_runs(harness: Harness) -> None:
    """A signature of ordinary types is fine."""
    await harness.adapter.validate_signature(a_program().signature)
