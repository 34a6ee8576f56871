"""Hindrances: records that cannot be written for a while, and statements that wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg
from sqlalchemy import text

from app.database import Database
from tests.support.wait import wait_until_so

_NO_ROOM = """
CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER no_room BEFORE INSERT OR UPDATE ON executions FOR EACH ROW
EXECUTE FUNCTION no_room();
"""


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


async def until_held_up(database: Database) -> None:
    """Return when a statement waits for what another transaction holds."""
    query = text(
        "SELECT count(*) > 0 FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )

    async def is_held_up() -> bool:
        async with database.transaction() as tx:
            return bool((await tx.batches._session.scalars(query)).one())

    await wait_until_so(is_held_up)


@asynccontextmanager
async def records_held(url: str) -> AsyncIterator[Hold]:
    """Let nobody write records until the block ends."""
    async with AsyncExitStack() as stack:
        link = await asyncpg.connect(url)
        stack.push_async_callback(link.close)
        async with link.transaction():
            await link.execute("LOCK TABLE executions IN SHARE MODE")
            yield Hold(link)


@asynccontextmanager
async def disk_full(url: str) -> AsyncIterator[None]:
    """Have the server say of every record written that it has no room for it."""
    link = await asyncpg.connect(url)
    await link.execute(_NO_ROOM)
    try:
        yield
    finally:
        await link.execute("DROP FUNCTION no_room CASCADE")
        await link.close()
