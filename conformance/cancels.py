"""Cancelling a call."""

import asyncio

import pytest

from conformance.harness import Harness
from conformance.programs import a_call, a_program


async def test_ends_at_once_and_leaves_nothing_running(harness: Harness) -> None:
    """A cancelled call ends, is not in flight any more, and counts as no failure."""
    call = a_call(a_program(config=harness.hanging()))
    running = asyncio.create_task(harness.adapter.execute_program(call))
    await harness.until_hanging()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    stats = await harness.adapter.get_stats()
    assert (stats.in_flight, stats.calls, stats.failures) == (0, 1, 0)


async def test_spares_the_next_call(harness: Harness) -> None:
    """After a cancelled call the next one runs."""
    running = asyncio.create_task(
        harness.adapter.execute_program(a_call(a_program(config=harness.hanging())))
    )
    await harness.until_hanging()
    running.cancel()
    await asyncio.wait([running])
    result = await harness.adapter.execute_program(a_call(a_program(config=harness.answering())))
    assert result.outputs["mood"] in {"good", "bad"}
