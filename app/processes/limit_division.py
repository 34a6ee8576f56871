"""The limits of LMs hold over all live processes together: each keeps to its part."""

from app.adapters.lm_limits import LMLimiters
from app.database import Database
from app.settings import ProcessesSettings


class LimitDivision:
    """Counts the live processes, and divides the limits by them.

    While the database is away the last division holds.
    """

    def __init__(
        self, database: Database, limiters: LMLimiters, settings: ProcessesSettings
    ) -> None:
        self._database = database
        self._limiters = limiters
        self._lease_s = settings.lease_ms / 1_000

    async def __call__(self) -> None:
        """Divide once."""
        async with self._database.transaction() as tx:
            live = await tx.processes.count_live(self._lease_s)
        self._limiters.divide(max(1, live))
