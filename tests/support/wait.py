"""The one place where a test waits by looking again."""

import asyncio
from collections.abc import Callable
from time import monotonic


async def wait_until(predicate: Callable[[], bool], timeout_s: float = 10) -> None:
    """Return as soon as `predicate` holds; TimeoutError where it does not in time."""
    deadline = monotonic() + timeout_s
    while not predicate():
        if monotonic() > deadline:
            raise TimeoutError(f"not so within {timeout_s} s")
        await asyncio.sleep(0.02)
