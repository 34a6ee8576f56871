"""The cleanup on its schedule: once for all processes, by whichever takes the job."""

import logging

from app.actions.resource_cleanup import CleanupInput, ResourceCleanup
from app.jobs.engine import Queue

logger = logging.getLogger(__name__)

QUEUE = "cleanup"
TASK = "clean_up"

CRON = "*/15 * * * *"
"""Each quarter of an hour."""


class ScheduledCleanup:
    """Mends everything that a cleanup finds."""

    def __init__(self, clean_up: ResourceCleanup) -> None:
        self._clean_up = clean_up

    @property
    def queue(self) -> Queue:
        """The queue whose jobs do this."""
        return Queue(QUEUE, TASK, self, concurrency=1, cron=CRON)

    async def __call__(self) -> None:
        """Mend once; what failed is logged, and tried again the next time."""
        report = await self._clean_up(CleanupInput(dry_run=False))
        for name, category in report.categories.items():
            if category.removed or category.errors:
                failed = "".join(f"; {error}" for error in category.errors)
                logger.info("cleaned up %d of %s%s", category.removed, name, failed)
