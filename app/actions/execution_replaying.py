"""Answer again with an execution that was accepted before, waiting for its end."""

from uuid import UUID

from app.actions.execution_waiting import ExecutionWaiting
from app.actions.program_execution.ending import problem_of
from app.actions.program_execution.records import has_begun
from app.database import Database
from app.models import Execution, IdempotencyKey
from app.models.states import ExecutionStatus
from app.stores.idempotency_keys import KeyChangedError

WAIT_S = 60.0


class ExecutionReplaying:
    """Answers what the first request of an idempotency key was answered."""

    def __init__(self, database: Database, waiting: ExecutionWaiting) -> None:
        self._database = database
        self._waiting = waiting

    async def __call__(self, kept: IdempotencyKey, wait_s: float | None = None) -> Execution:
        """Give the execution, whose end its client waits for; or, with `wait_s`, for so long.

        Raises ExecutionNotFoundError where its record is no longer kept, an ExecutionError where
        the client waited and it did not complete, and KeyChangedError where it was given up before
        it began: then its client was told to come again, and the key is free.
        """
        execution = await self._awaited(kept.resource_id, wait_s)
        if not has_begun(execution):
            async with self._database.transaction() as tx:
                await tx.idempotency_keys.release(kept.key, kept.resource_id)
            raise KeyChangedError
        has_failed = execution.finished_at and execution.status != ExecutionStatus.COMPLETED
        if has_failed and wait_s != 0:
            problem = problem_of(execution)
            problem.detail += " This is the answer of before; a new key runs it again."
            raise problem
        return execution

    async def _awaited(self, execution_id: UUID, wait_s: float | None) -> Execution:
        if wait_s is not None:
            return await self._waiting(execution_id, wait_s)
        return await self._ended(execution_id)

    async def _ended(self, execution_id: UUID) -> Execution:
        while True:
            execution = await self._waiting(execution_id, WAIT_S)
            if execution.finished_at is not None:
                return execution
