"""Take a lane that waits for somebody, and what its last holder left."""

from dataclasses import replace
from uuid import UUID

from app.actions.batch_processing.suspects import suspects_of
from app.checkpoints import Checkpoint, Reached, nothing
from app.database import Database
from app.stores.transaction import Transaction
from app.stores.waiting_lanes import TakenLane


class LaneTaking:
    """Takes lanes for this process; what a dead holder lost is in the records with it."""

    def __init__(self, database: Database, reached: Reached = nothing) -> None:
        self._database = database
        self._reached = reached

    async def __call__(self, owner_id: UUID, *, is_first: bool = False) -> TakenLane | None:
        """Take the next lane; None where none waits, or with `is_first` none of an idle batch."""
        self._reached(Checkpoint.BEFORE_TAKE)
        async with self._database.transaction() as tx:
            taken = await _taken(tx, owner_id, is_first=is_first)
        if taken is not None:
            self._reached(Checkpoint.TAKEN)
        return taken


async def _taken(tx: Transaction, owner_id: UUID, *, is_first: bool) -> TakenLane | None:
    """Take the next lane; what its holder ran when it died has lost an attempt."""
    taken = await tx.waiting_lanes.take_next(owner_id, is_first=is_first)
    if taken is None or not taken.has_crashed:
        return taken
    batch = (await tx.batches.get(taken.lane.batch_id)).batch
    revision = await tx.programs.get_revision(batch.program_id, batch.program_revision)
    suspects = suspects_of(taken, revision.adapter)
    await tx.lanes.note_attempts(taken.lane, suspects)
    return replace(taken, left=suspects)
