"""Work on the database that is done although the database is away for a while."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.errors import DatabaseUnavailableError
from app.policies.clock import Clock

AGAIN_AFTER_S = 0.5

T = TypeVar("T")


async def patiently(
    clock: Clock, work: Callable[[], Awaitable[T]], again_after_s: float = AGAIN_AFTER_S
) -> T:
    """Do it again and again until the database answers; it may be done twice."""
    while True:
        try:
            return await work()
        except DatabaseUnavailableError:
            await clock.sleep(again_after_s)
