"""Read a record, and wait for its end without holding a connection."""

from uuid import UUID

from app.database import Database
from app.models import Execution
from app.policies.clock import Clock
from app.policies.deadline import Deadline

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0


class ExecutionEnds:
    """Tells when executions may have ended; so far, time alone does."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def next(self, _execution_id: UUID, at_most_s: float) -> None:
        """Return when the execution may have ended, after `at_most_s` at the latest."""
        await self._clock.sleep(at_most_s)


class ExecutionWaiting:
    """Gives the record of an execution as soon as it has ended, or when the time is up."""

    def __init__(self, database: Database, ends: ExecutionEnds, clock: Clock) -> None:
        self._database = database
        self._ends = ends
        self._clock = clock

    async def __call__(
        self, execution_id: UUID, wait_s: float = 0.0, *, with_trace: bool = False
    ) -> Execution:
        """Wait up to `wait_s`; ExecutionNotFoundError where there is no such execution."""
        deadline = Deadline(self._clock, wait_s)
        pause_s = FIRST_PAUSE_S
        while True:
            async with self._database.transaction() as tx:
                execution = await tx.executions.get(execution_id, with_trace=with_trace)
            if execution.finished_at is not None or not deadline.remaining_s:
                return execution
            await self._ends.next(execution_id, deadline.cap(pause_s))
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
