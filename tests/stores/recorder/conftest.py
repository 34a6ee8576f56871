"""What the tests of the recorder share: recorders that tell what they do, and hindrances."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from app.database import Database
from app.models import Execution
from app.stores.recorder import Recorder
from tests.stores.rows import a_beginning, an_ending
from tests.support.factories import a_recorder
from tests.support.wait import written

LEFT = an_ending("cancelled", outcome="cancelled")  # type: ignore[arg-type]
PATIENCE_S = 20.0


def a_row(**values: Any) -> dict[str, Any]:
    """Make what `begin` writes."""
    return {**a_beginning(), "metadata": {}, **values}


class Recording:
    """A recorder on a database, with the statements that it made and the ends it told of."""

    def __init__(self, database: Database) -> None:
        self.statements: list[str] = []
        self.connects = 0
        self.ended: list[UUID] = []
        self.database = database
        self.recorder: Recorder = a_recorder(database, step=self._step, ended=self._hear)

    def _step(self, what: str) -> None:
        if what == "connect":
            self.connects += 1
        elif "executions" in what:  # and no question of the driver's own
            self.statements.append(what)

    def _hear(self, ids: Sequence[UUID]) -> None:
        self.ended.extend(ids)

    async def begin(self, within_s: float = PATIENCE_S, **values: Any) -> UUID:
        """Begin a record; give its id."""
        row = a_row(**values)
        await self.recorder.begin(row, LEFT, within_s)
        execution_id: UUID = row["id"]
        return execution_id

    async def finish(
        self, execution_id: UUID, within_s: float = PATIENCE_S, **values: Any
    ) -> object:
        """End a record; give when, or None."""
        return await self.recorder.finish(execution_id, an_ending(**values), within_s)

    async def record(self, execution_id: UUID) -> Execution:
        """Read a record."""
        async with self.database.transaction() as tx:
            return await tx.executions.get(execution_id)

    async def counted(self) -> int:
        """Sum up what is counted and not folded."""
        link = await self.database.open_connection()
        return int(await link.fetchval("SELECT coalesce(sum(ended), 0) FROM execution_counts"))


@pytest.fixture
def recording(database: Database) -> Recording:
    """Give a recorder on the test's database."""
    return Recording(database)


class Hold:
    """A lock on all records, held by the test."""

    def __init__(self, link: Any) -> None:
        self.link = link

    async def until_waiting(self, count: int = 1) -> None:
        """Return when as many of the recorder's statements wait for the lock."""
        query = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        async with asyncio.timeout(10):
            while await self.link.fetchval(query) < count:
                # The snapshot of the activity is kept for the transaction.
                await self.link.execute("SELECT pg_stat_clear_snapshot()")


@asynccontextmanager
async def records_held(url: str) -> AsyncIterator[Hold]:
    """Let nobody write records until the block ends."""
    async with AsyncExitStack() as stack:
        link = await asyncpg.connect(url)
        stack.push_async_callback(link.close)
        async with link.transaction():
            await link.execute("LOCK TABLE executions IN SHARE MODE")
            yield Hold(link)


@pytest.fixture
def held(database_url: str) -> Callable[[], Any]:
    """Give the way to hold the test's records."""
    return lambda: records_held(database_url)


async def failures_of(*work: Any) -> list[BaseException | None]:
    """Await all, and give how each failed."""
    ends = await asyncio.gather(*work, return_exceptions=True)
    await written()
    return [end if isinstance(end, BaseException) else None for end in ends]
