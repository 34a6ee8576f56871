"""Waiting for a pipe without a thread."""

import asyncio


async def until_readable(descriptor: int) -> None:
    """Return when there is something to read, or the other end is closed."""
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)
