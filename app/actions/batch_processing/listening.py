"""Listen to batches: one look a second serves everybody who listens in this process."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from operator import attrgetter
from uuid import UUID

from app.actions.batch_processing.events import BatchEvent, event_of
from app.database import Database
from app.errors import DatabaseUnavailableError
from app.policies.clock import Clock
from app.policies.drain import Drain, Stage

LOOK_S = 1.0
"""How often batches are looked at that somebody listens to."""

KEEP_ALIVE_S = 15.0
"""After so long without an event a listener is told that there is none."""

BATCHES_OF_A_LOOK = 200
WOKEN_AT_ONCE = 100
"""As many listeners are woken before others have their turn."""


class _Topic:
    """A batch, and who listens to it: each hears of the newest event, whatever he has missed."""

    def __init__(self, event: BatchEvent) -> None:
        self.event = event
        self.listeners = set[asyncio.Event]()
        self.is_over = False


class BatchListening:
    """Gives the events of batches, to any number of listeners.

    A listener that is slow holds nothing but the event that he is busy with.
    """

    def __init__(
        self, database: Database, clock: Clock, keep_alive_s: float = KEEP_ALIVE_S
    ) -> None:
        self._database = database
        self._clock = clock
        self._keep_alive_s = keep_alive_s
        self._topics: dict[UUID, _Topic] = {}
        self._reading: dict[UUID, asyncio.Task[BatchEvent]] = {}
        self._is_closed = False

    async def __call__(
        self, batch_id: UUID, after: int = 0
    ) -> AsyncGenerator[BatchEvent | None, None] | None:
        """Listen to a batch from behind a sequence on, to its end or that of this process.

        None among the events says that nothing has changed for a while; None for all of them, that
        none will come any more. BatchNotFoundError where there is no such batch.
        """
        topic = self._topics.get(batch_id)
        event = await asyncio.shield(self._first(batch_id)) if topic is None else topic.event
        if event.is_last and event.sequence <= after:
            return None
        return self._events(event, after)

    async def look_on(self, drain: Drain) -> None:
        """Look again and again until the process closes; then all that is listened to is over."""
        while not drain.is_at(Stage.CLOSING):
            await self._clock.sleep(LOOK_S)
            with suppress(DatabaseUnavailableError):  # the next look will tell
                await self._look()
        self._is_closed = True
        for topic in list(self._topics.values()):
            await self._wake(topic)

    def _first(self, batch_id: UUID) -> asyncio.Task[BatchEvent]:
        """Read a batch, once for all who come at the same time."""
        if batch_id not in self._reading:
            task = asyncio.create_task(self._read(batch_id), name="read a batch")
            self._reading[batch_id] = task
            task.add_done_callback(lambda _: self._reading.pop(batch_id))
        return self._reading[batch_id]

    async def _read(self, batch_id: UUID) -> BatchEvent:
        async with self._database.transaction() as tx:
            return event_of(await tx.batches.get(batch_id))

    async def _events(
        self, first: BatchEvent, after: int
    ) -> AsyncGenerator[BatchEvent | None, None]:
        topic = self._topics.setdefault(first.batch_id, _Topic(first))
        news = asyncio.Event()
        topic.listeners.add(news)
        try:
            while True:
                event = max(first, topic.event, key=attrgetter("sequence"))
                if event.sequence > after:
                    after = event.sequence
                    yield event
                elif event.is_last or topic.is_over or self._is_closed:
                    return
                elif await self._is_silent(news):
                    yield None
        finally:
            topic.listeners.discard(news)
            if not topic.listeners:
                self._topics.pop(first.batch_id, None)

    async def _is_silent(self, news: asyncio.Event) -> bool:
        """Wait for news; tell whether the time was up after which a listener is told anyway."""
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._keep_alive_s, news.set)
        try:
            await news.wait()
        finally:
            timer.cancel()
        news.clear()
        return loop.time() >= timer.when()

    async def _look(self) -> None:
        """Read all batches that somebody listens to; those that are gone are over."""
        watched = list(self._topics.items())
        for start in range(0, len(watched), BATCHES_OF_A_LOOK):
            await self._look_at(dict(watched[start : start + BATCHES_OF_A_LOOK]))

    async def _look_at(self, topics: Mapping[UUID, _Topic]) -> None:
        async with self._database.transaction() as tx:
            found = {read.id: read for read in await tx.batches.list_these(list(topics))}
        for batch_id, topic in topics.items():
            read = found.get(batch_id)
            if read is None:
                topic.is_over = True
            elif read.sequence > topic.event.sequence:
                topic.event = event_of(read)
            else:
                continue
            await self._wake(topic)

    async def _wake(self, topic: _Topic) -> None:
        for number, news in enumerate(list(topic.listeners)):
            news.set()
            if number % WOKEN_AT_ONCE == WOKEN_AT_ONCE - 1:
                await self._clock.sleep(0)
