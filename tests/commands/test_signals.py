"""How a process hears that it shall stop; signals are sent to real ones by the scenarios."""

import asyncio
import os

from app.commands.signals import hear_end
from app.policies.drain import Drain, Stage


async def test_the_end_of_the_parent_closes() -> None:
    """Its end of a pipe closes with it."""
    sentinel, parents = os.pipe()
    drain = Drain()
    hearing = asyncio.create_task(hear_end(sentinel, drain))
    await asyncio.sleep(0)
    assert not drain.has_begun
    os.close(parents)
    await hearing
    assert drain.is_at(Stage.CLOSING)
    assert not drain.is_at(Stage.HURRYING)
    os.close(sentinel)
