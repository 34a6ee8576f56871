"""Giving everything back."""

from conformance.harness import Harness
from conformance.programs import a_call, a_program


async def test_forgets_the_programs(harness: Harness) -> None:
    """After the cleanup nothing is held."""
    await harness.adapter.execute_program(a_call(a_program(config=harness.answering())))
    await harness.adapter.cleanup()
    assert list(await harness.adapter.list_programs()) == []


async def test_may_come_twice_and_without_a_call(harness: Harness) -> None:
    """An adapter that never ran cleans up, and again."""
    await harness.adapter.cleanup()
    await harness.adapter.cleanup()
