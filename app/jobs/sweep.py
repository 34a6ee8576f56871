"""The sweep of jobs: lets others take what dead workers had taken."""

import logging

from app.database import Database

logger = logging.getLogger(__name__)


class JobSweep:
    """Takes back the jobs of workers that were dropped or whose processes have ended.

    Every process sweeps. It is one statement, so that a job goes to one worker, whoever sweeps at
    the same time.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self) -> None:
        """Sweep once; and where anything waits, see to it that somebody knows."""
        async with self._database.transaction() as tx:
            taken = await tx.jobs.take_back_lost()
            await tx.pending_executions.remind()
            await tx.waiting_lanes.remind()
            await tx.webhook_deliveries.remind()
        if taken:
            logger.warning("took back jobs of dead workers: %s", ", ".join(map(str, taken)))
