"""The one place where a test waits."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic


async def written() -> None:
    """Return when no recorder of this test has anything left to write."""
    while writing := {task for task in asyncio.all_tasks() if task.get_name() == "write records"}:
        await asyncio.wait(writing)


async def wait_until(predicate: Callable[[], bool], timeout_s: float = 10) -> None:
    """Return as soon as `predicate` holds; TimeoutError where it does not in time."""
    deadline = monotonic() + timeout_s
    while not predicate():
        if monotonic() > deadline:
            raise TimeoutError(f"not so within {timeout_s} s")
        await asyncio.sleep(0.02)


async def wait_until_so(question: Callable[[], Awaitable[bool]], timeout_s: float = 30) -> None:
    """Return as soon as the answer to a question is yes; TimeoutError where it is not in time."""
    deadline = monotonic() + timeout_s
    while not await question():
        if monotonic() > deadline:
            raise TimeoutError(f"not so within {timeout_s} s")
        await asyncio.sleep(0.02)
