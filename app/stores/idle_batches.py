"""Live batches on which nobody works: no lane is held, and none waits for a holder.

A lane that a dead process holds is taken over as one that waits, so that its batch is not idle.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Batch, BatchLane
from app.models.states import LIVE_BATCH
from app.stores.waiting_lanes import WaitingLaneStore

_IS_BUSY = or_(BatchLane.is_held, BatchLane.waits_since.is_not(None))


class IdleBatchStore:
    """Finds idle batches, and sets them going, within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def list_ids(self) -> Sequence[UUID]:
        """List the idle batches, the oldest first."""
        busy = exists().where(BatchLane.batch_id == Batch.id, _IS_BUSY)
        query = select(Batch.id).where(Batch.status.in_(LIVE_BATCH), ~busy).order_by(Batch.id)
        return (await self._session.scalars(query)).all()

    async def set_going(self, batch_id: UUID) -> bool:
        """Have all lanes of a batch taken by somebody; False where it is not idle any more."""
        own = BatchLane.batch_id == batch_id
        lanes = select(BatchLane).where(own).order_by(BatchLane.number.desc()).with_for_update()
        held = (await self._session.scalars(lanes)).all()
        if any(lane.is_held or lane.waits_since is not None for lane in held):
            return False
        await self._session.execute(update(BatchLane).where(own).values(waits_since=func.now()))
        await WaitingLaneStore(self._session).wake_up()
        return bool(held)
