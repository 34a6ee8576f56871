"""What dead processes left running: it ends, or is run again where it runs in the background."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

from app.adapters.errors import AdapterError, ErrorType
from app.models.states import ExecutionStatus, Outcome
from app.processes.channel import ControlChannel, Kind
from app.processes.returning import give_back
from app.stores.transaction import Transaction

logger = logging.getLogger(__name__)

AT_ONCE = 1_000
"""Executions that end in one transaction."""

_CRASH = AdapterError(ErrorType.WORKER_CRASHED, "The process that ran it has died.")
_ENDING = {
    "status": ExecutionStatus.FAILED,
    "outcome": Outcome.EXECUTION_ERROR,
    "error": _CRASH.as_document(),
}


@dataclass(frozen=True)
class Orphans:
    """Executions of dead processes that have ended, each with its program, or wait again.

    `is_full` tells that there may be more.
    """

    ended: Mapping[UUID, UUID]
    held: int
    is_full: bool

    @property
    def count(self) -> int:
        """How many there were."""
        return len(self.ended) + self.held


async def mend_orphans(tx: Transaction, owners: Collection[UUID], after: UUID) -> Orphans:
    """End or take back executions of these processes, which are dead, made after an id.

    What somebody else is about to end is left to him.
    """
    lost = dict(await tx.executions.end_lost(owners, after, _ENDING, AT_ONCE))
    held = await tx.pending_executions.hold_lost(owners, after, AT_ONCE)
    is_full = AT_ONCE in {len(lost), len(held)}
    poison = {one.id: one.program_id for one in await give_back(tx, held, _CRASH)}
    await tx.programs.count_executions([*lost.values(), *poison.values()])
    return Orphans({**lost, **poison}, len(held) - len(poison), is_full)


def tell_of(orphans: Orphans, channel: ControlChannel) -> None:
    """Tell whoever waits for them, once that is committed."""
    if orphans.held:
        logger.warning("took back %d executions of dead processes", orphans.held)
    if orphans.ended:
        logger.warning("ended %d executions that dead processes left running", len(orphans.ended))
        channel.tell(Kind.ENDED, orphans.ended.keys())
