"""What an adapter counts."""

from contextlib import suppress

from app.adapters.base import AdapterStats
from app.adapters.errors import AdapterError, ErrorType
from conformance.harness import Harness
from conformance.programs import a_call, a_program


async def test_begin_at_nothing(harness: Harness) -> None:
    """A new adapter has done nothing."""
    assert await harness.adapter.get_stats() == AdapterStats(0, 0, 0, 0)


async def test_count_calls_and_failures(harness: Harness) -> None:
    """Every call counts, those that failed twice over."""
    program = a_program(config=harness.answering())
    await harness.adapter.execute_program(a_call(program))
    with suppress(AdapterError):
        failing = a_program(config=harness.failing(ErrorType.BACKEND_ERROR))
        await harness.adapter.execute_program(a_call(failing))
    assert await harness.adapter.get_stats() == AdapterStats(2, 0, 2, 1)
