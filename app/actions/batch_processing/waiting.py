"""Read a batch, and wait for its end without holding a connection."""

from uuid import UUID

from app.actions.execution_waiting import POLL_S, ExecutionEnds
from app.database import Database
from app.policies.clock import Clock
from app.policies.deadline import Deadline
from app.stores.batches import BatchReading


class BatchWaiting:
    """Gives a batch as soon as it has ended, or when the time is up."""

    def __init__(self, database: Database, ends: ExecutionEnds, clock: Clock) -> None:
        self._database = database
        self._ends = ends
        self._clock = clock

    async def __call__(self, batch_id: UUID, wait_s: float = 0.0) -> BatchReading:
        """Wait up to `wait_s`; BatchNotFoundError where there is no such batch."""
        deadline = Deadline(self._clock, wait_s)
        with self._ends.watch(batch_id) as watch:
            while True:
                async with self._database.transaction() as tx:
                    read = await tx.batches.get(batch_id)
                if read.batch.finished_at is not None or not deadline.remaining_s:
                    return read
                await watch.next(deadline.cap(POLL_S))
