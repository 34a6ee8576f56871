"""How much waits."""

from app.database import Database
from app.jobs.waiting import Waiting
from tests.stores.test_pending_executions import a_pending


async def test_what_waits_is_counted_at_each_look(database: Database) -> None:
    """And remembered in between, since nobody waits for the database at a scrape."""
    waiting = Waiting(database)
    assert waiting.counts() == {}
    async with database.transaction() as tx:
        await a_pending(tx)
    await waiting()
    async with database.transaction() as tx:
        await a_pending(tx)
    assert waiting.counts() == {"executions": 1}
