"""Read a record, and wait for its end without holding a connection."""

import asyncio
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from uuid import UUID

from app.database import Database
from app.models import Execution
from app.policies.clock import Clock
from app.policies.deadline import Deadline

POLL_S = 1.0
"""How long a waiter trusts to be told; then it looks for itself."""


class Watch:
    """Waits for news of one execution."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._news = asyncio.Event()

    def wake(self) -> None:
        """Say that the execution may have ended."""
        self._news.set()

    async def next(self, at_most_s: float) -> None:
        """Return when the execution may have ended, after `at_most_s` at the latest."""
        news = asyncio.create_task(self._news.wait())
        asleep = asyncio.create_task(self._clock.sleep(at_most_s))
        try:
            await asyncio.wait({news, asleep}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
            asleep.cancel()
        self._news.clear()


class ExecutionEnds:
    """Wakes those who wait for executions, here or told by another process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._watches: dict[UUID, set[Watch]] = {}

    @contextmanager
    def watch(self, execution_id: UUID) -> Iterator[Watch]:
        """Miss no news of an execution while the block lasts."""
        watch = Watch(self._clock)
        self._watches.setdefault(execution_id, set()).add(watch)
        try:
            yield watch
        finally:
            self._watches[execution_id].discard(watch)
            if not self._watches[execution_id]:
                del self._watches[execution_id]

    def hear(self, execution_ids: Collection[UUID]) -> None:
        """Wake those who wait for these."""
        for execution_id in execution_ids:
            for watch in self._watches.get(execution_id, ()):
                watch.wake()

    def catch_up(self) -> None:
        """Wake all: news may have been lost."""
        self.hear(list(self._watches))


class ExecutionWaiting:
    """Gives the record of an execution as soon as it has ended, or when the time is up."""

    def __init__(self, database: Database, ends: ExecutionEnds, clock: Clock) -> None:
        self._database = database
        self._ends = ends
        self._clock = clock

    async def __call__(
        self, execution_id: UUID, wait_s: float = 0.0, *, with_trace: bool = False
    ) -> Execution:
        """Wait up to `wait_s`; ExecutionNotFoundError where there is no such execution."""
        deadline = Deadline(self._clock, wait_s)
        with self._ends.watch(execution_id) as watch:
            while True:
                async with self._database.transaction() as tx:
                    execution = await tx.executions.get(execution_id, with_trace=with_trace)
                if execution.finished_at is not None or not deadline.remaining_s:
                    return execution
                await watch.next(deadline.cap(POLL_S))
