"""How much waits and how many batches there are, for whoever scrapes."""

from collections.abc import Mapping

from app.database import Database
from app.models import batches, pending_executions, webhook_deliveries


class Waiting:
    """Remembers what the last look found: a scrape must not wait for the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: Mapping[str, int] = {}
        self._batches: Mapping[str, int] = {}

    def counts(self) -> Mapping[str, int]:
        """Give what waited at the last look, by queue; nothing before the first."""
        return self._waiting

    def batches(self) -> Mapping[str, int]:
        """Give the batches at the last look, by status; nothing before the first."""
        return self._batches

    async def __call__(self) -> None:
        """Look."""
        async with self._database.transaction() as tx:
            self._waiting = {
                pending_executions.QUEUE: await tx.pending_executions.count(),
                batches.QUEUE: await tx.waiting_lanes.count_waiting(),
                webhook_deliveries.QUEUE: await tx.webhook_deliveries.count_waiting(),
            }
            self._batches = await tx.batches.count_by_status()
