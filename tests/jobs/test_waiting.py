"""How much waits, and how many batches there are."""

from app.database import Database
from app.jobs.waiting import Waiting
from tests.stores.rows import a_batch
from tests.stores.test_pending_executions import a_pending


async def test_what_waits_is_counted_at_each_look(database: Database) -> None:
    """And remembered in between, since nobody waits for the database at a scrape."""
    waiting = Waiting(database)
    assert (waiting.counts(), waiting.batches()) == ({}, {})
    async with database.transaction() as tx:
        await a_pending(tx)
        await a_batch(tx, 3, shares=(1, 1))
    await waiting()
    async with database.transaction() as tx:
        await a_pending(tx)
        await a_batch(tx, 0, shares=())
    assert waiting.counts() == {"executions": 1, "lanes": 2, "webhooks": 0}
    assert waiting.batches() == {
        "pending": 1,
        "running": 0,
        "paused": 0,
        "completed": 0,
        "failed": 0,
        "cancelled": 0,
    }
