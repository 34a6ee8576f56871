"""The one place where a test waits."""

import asyncio
from collections.abc import Callable
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
