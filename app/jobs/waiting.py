"""How much waits, by queue, for whoever scrapes."""

from collections.abc import Mapping

from app.database import Database
from app.models.pending_executions import QUEUE


class Waiting:
    """Remembers what the last look found: a scrape must not wait for the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counts: Mapping[str, int] = {}

    def counts(self) -> Mapping[str, int]:
        """Give what waited at the last look; nothing before the first."""
        return self._counts

    async def __call__(self) -> None:
        """Look."""
        async with self._database.transaction() as tx:
            self._counts = {QUEUE: await tx.pending_executions.count()}
