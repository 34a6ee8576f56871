"""The heartbeat: says that this process lives, and under which id it owns executions."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Thread
from typing import Any
from uuid import UUID

from app.database import Database
from app.errors import DatabaseUnavailableError
from app.models.ids import Ids
from app.policies.clock import Clock
from app.settings import ProcessesSettings
from app.stores.availability import RETRY_AFTER_S

logger = logging.getLogger(__name__)

AGAIN_AFTER_S = 1.0
"""The pause after a beat that failed, where beats do not follow sooner anyway."""


@dataclass(frozen=True)
class Standing:
    """The id of this process, when its last beat was sent, and since when none was missed.

    Times are this machine's monotonic clock's.
    """

    id: UUID
    last: float
    since: float


class Heartbeat:
    """Beats from a thread with an event loop and a connection of its own.

    So neither work that blocks the event loop nor a pool without a free connection makes this
    process look dead. A process that was given up while it was frozen goes on under another id;
    what it ran is no longer its own.
    """

    def __init__(
        self,
        connect: Callable[[], Database],
        about: Mapping[str, Any],
        ids: Ids,
        settings: ProcessesSettings,
        clock: Clock,
    ) -> None:
        self._connect = connect
        self._about = about
        self._ids = ids
        self._beat_s = settings.heartbeat_ms / 1_000
        self._lease_s = settings.lease_ms / 1_000
        self._clock = clock
        self._standing = self._new_standing()

    @property
    def id(self) -> UUID:
        """The id of this process."""
        return self._standing.id

    @property
    def is_steady(self) -> bool:
        """Whether no beat was missed for a lease: then silence of others is not the database's."""
        standing, now = self._standing, self._clock.monotonic()
        return now - standing.last <= 2 * self._beat_s and now - standing.since >= self._lease_s

    def owner_id(self) -> UUID:
        """Give the id under which an execution may begin.

        DatabaseUnavailableError where nobody has heard of this process for a lease: it may have
        been given up.
        """
        standing = self._standing
        if self._clock.monotonic() - standing.last > self._lease_s:
            raise DatabaseUnavailableError(
                "The database has not heard of this process for too long.",
                retry_after_s=RETRY_AFTER_S,
            )
        return standing.id

    async def open(self, database: Database, given_up: Callable[[UUID], None]) -> None:
        """Enter this process among the others, and beat from then on.

        `given_up` is told, in this event loop, of each id that is no longer this process's.
        """
        self._standing = self._new_standing()
        async with database.transaction() as tx:
            await tx.processes.add({"id": self.id, **self._about})
        self._main, self._given_up = asyncio.get_running_loop(), given_up
        self._loop, self._stop = asyncio.new_event_loop(), asyncio.Event()
        self._thread = Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Leave the others."""
        self._loop.call_soon_threadsafe(self._stop.set)
        await asyncio.to_thread(self._thread.join)

    def _new_standing(self) -> Standing:
        now = self._clock.monotonic()
        return Standing(self._ids.new(), now, now)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._beat_until_stopped())
        finally:
            self._loop.close()

    async def _beat_until_stopped(self) -> None:
        database = self._connect()
        try:
            while not self._stop.is_set():
                pause_s = self._beat_s
                if not await self._done_in_time(self._beat(database)):
                    pause_s = min(pause_s, AGAIN_AFTER_S)
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._stop.wait()
            await self._done_in_time(self._leave(database))
        finally:
            await database.close()

    async def _done_in_time(self, work: Coroutine[Any, Any, None]) -> bool:
        """Tell whether the database did its part; what went wrong is logged."""
        try:
            async with asyncio.timeout(self._beat_s):
                await work
        except (DatabaseUnavailableError, TimeoutError) as error:
            logger.warning("no heartbeat: %s", type(error).__name__)
            return False
        except Exception:
            logger.exception("no heartbeat")
            return False
        return True

    async def _beat(self, database: Database) -> None:
        sent, before = self._clock.monotonic(), self._standing
        async with database.transaction() as tx:
            if await tx.processes.beat(before.id):
                after = replace(before, last=sent)
            else:
                after = Standing(self._ids.new(), sent, sent)
                await tx.processes.add({"id": after.id, **self._about})
        if sent - before.last > 2 * self._beat_s:
            after = replace(after, since=sent)
        self._standing = after
        if after.id != before.id:
            logger.error("process %s was given up while it was silent", before.id)
            self._main.call_soon_threadsafe(self._given_up, before.id)

    async def _leave(self, database: Database) -> None:
        async with database.transaction() as tx:
            await tx.processes.end(self.id)
