"""Group commit: rows that arrive while a write is under way go together in the next one."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context

import asyncpg

from app.policies.clock import Clock
from app.stores.availability import has_unknown_outcome, is_away
from app.stores.connections import Link
from app.stores.recorder.writes import Write, unavailable

logger = logging.getLogger(__name__)

MOST_ROWS = 500
"""As many rows go into one statement."""

MOST_CHARACTERS = 16 * 1024**2
"""A statement with more is full."""

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0

Connect = Callable[[], Awaitable[Link]]
Statement = Callable[[Link, Sequence[Write]], Awaitable[None]]

_REPEATABLE = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)


class Writer:
    """Writes groups of rows, one after the other, on a connection of its own.

    It works while something waits, so an idle process has no task of it to look after. While the
    database is away it tries again, and what waits is kept.
    """

    def __init__(self, connect: Connect, statement: Statement, clock: Clock) -> None:
        self._connect = connect
        self._statement = statement
        self._clock = clock
        self._waiting: deque[Write] = deque()
        self._working: asyncio.Task[None] | None = None
        self._link: Link | None = None

    @property
    def waiting(self) -> int:
        """How many rows wait for the next write."""
        return len(self._waiting)

    def add(self, write: Write) -> None:
        """Have a row written; its `written` says when it is."""
        self._waiting.append(write)
        if self._working is None:
            # In no request's context: the rows of many go together.
            self._working = asyncio.create_task(
                self._work(), name="write records", context=Context()
            )

    async def close(self, grace_s: float) -> None:
        """Write what waits, for so long; the rest is lost, and logged."""
        if self._working is not None:
            await asyncio.wait({self._working}, timeout=grace_s)
        if self._working is not None:
            self._working.cancel()
            await asyncio.wait({self._working})
        while self._waiting:
            lost = self._waiting.popleft()
            logger.error("execution %s is not written: the database is away", lost.id)
            lost.fail(unavailable())

    async def _work(self) -> None:
        pause_s = FIRST_PAUSE_S
        try:
            while group := self._next_group():
                if await self._settle(group):
                    pause_s = FIRST_PAUSE_S
                else:
                    await self._clock.sleep(pause_s)
                    pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        finally:
            self._working = None

    def _next_group(self) -> list[Write]:
        group: list[Write] = []
        characters = 0
        while self._waiting and len(group) < MOST_ROWS and characters < MOST_CHARACTERS:
            write = self._waiting.popleft()
            if write.is_wanted:
                group.append(write)
                characters += write.size
            if write.is_suspect:  # all of them stand at the front
                break
        return group

    async def _settle(self, group: Sequence[Write]) -> bool:
        """Write a group; False where the same is to be tried again after a pause."""
        try:
            await self._statement(await self._connected(), group)
        except asyncio.CancelledError:
            self._waiting.extend(group)
            raise
        except Exception as error:  # noqa: BLE001 - it is the caller's, who is told
            if isinstance(error, _REPEATABLE) or is_away(error):
                self._take_back(group, error)
                return False
            self._refuse(group, error)
        return True

    async def _connected(self) -> Link:
        if self._link is None or self._link.is_closed():
            self._link = None
            self._link = await self._connect()
        return self._link

    def _take_back(self, group: Sequence[Write], error: Exception) -> None:
        logger.warning("%d records wait: %s: %s", len(group), type(error).__name__, error)
        self._waiting.extendleft(reversed(group))
        if self._link is not None and has_unknown_outcome(error):
            self._link.terminate()
            self._link = None
            for write in group:
                write.is_uncertain = True

    def _refuse(self, group: Sequence[Write], error: Exception) -> None:
        """Tell the one whose row was refused; of several, find out which it is."""
        if len(group) > 1:
            for write in group:
                write.is_suspect = True
            self._waiting.extendleft(reversed(group))
        elif not group[0].fail(error):
            logger.error("execution %s is not written", group[0].id, exc_info=error)
