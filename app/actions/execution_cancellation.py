"""Cancel an execution, wherever it runs."""

from uuid import UUID

from app.actions.program_execution.ending import Ending
from app.adapters.errors import AdapterError, ErrorType
from app.checkpoints import Checkpoint, Reached, nothing
from app.database import Database
from app.errors import InvalidTransitionError
from app.models import Execution
from app.processes.channel import ControlChannel, Kind
from app.stores.transaction import Transaction

_ENDING = Ending.failed(AdapterError(ErrorType.CANCELLED, "The execution was cancelled."))


class ExecutionCancellation:
    """Ends records, and tells the processes that run them."""

    def __init__(
        self, database: Database, channel: ControlChannel, reached: Reached = nothing
    ) -> None:
        self._database = database
        self._channel = channel
        self._reached = reached

    async def __call__(self, execution_id: UUID) -> Execution:
        """Cancel; raises ExecutionNotFoundError, InvalidTransitionError where it has ended."""
        self._reached(Checkpoint.BEFORE_CANCEL)
        async with self._database.transaction() as tx:
            await tx.pending_executions.drop(execution_id)
            cancelled = await _cancel(tx, execution_id)
            await tx.programs.count_executions([cancelled.program_id])
        self._reached(Checkpoint.CANCELLED)
        self._channel.tell(Kind.CANCEL, [execution_id])
        self._channel.tell(Kind.ENDED, [execution_id])
        return cancelled


async def _cancel(tx: Transaction, execution_id: UUID) -> Execution:
    """End a record; an item of a batch is counted there, while nobody hands it out."""
    found = await tx.executions.get(execution_id)
    if found.batch_id is not None:
        await tx.batches.hold(found.batch_id)
    cancelled = await tx.executions.cancel(execution_id, vars(_ENDING))
    if cancelled is None:
        found = await tx.executions.get(execution_id)
        raise InvalidTransitionError(f"The execution is {found.status} already.")
    if cancelled.batch_id is not None:
        was_pending = cancelled.started_at is None
        await tx.batches.count_cancelled(cancelled.batch_id, was_pending=was_pending)
    return cancelled
