"""Work that is done to its end although its caller is cancelled, or the process is told to stop."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Shield:
    """Keeps work from interruption, and lets a closing process await what is under way."""

    def __init__(self) -> None:
        self._under_way: set[asyncio.Task[Any]] = set()

    async def uninterrupted(self, work: Coroutine[Any, Any, T]) -> T:
        """Await `work` to its end; a cancellation that comes meanwhile is raised afterwards.

        Nobody is left then to tell of a failure of the work: it is logged.
        """
        task = asyncio.ensure_future(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        interruption: asyncio.CancelledError | None = None
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError as error:
                interruption = error
        if interruption is None:
            return task.result()
        if not task.cancelled() and (failure := task.exception()) is not None:
            logger.error("work that was not to be interrupted failed", exc_info=failure)
        raise interruption

    async def drained(self) -> None:
        """Return when nothing is under way."""
        while self._under_way:
            await asyncio.wait(set(self._under_way))
