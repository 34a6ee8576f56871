"""The rows of `batch_lanes` that wait for a process, and how one takes them.

Locks are taken as by `batch_lanes`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Base, BatchLane, Process
from app.models.batches import QUEUE, TASK
from app.models.ids import item_range
from app.models.states import ExecutionStatus
from app.stores.batch_lanes import ITEM, HeldLane, Item, items_of, update_of
from app.stores.jobs import JobStore

_EXECUTIONS = Base.metadata.tables["executions"]
_ITEMS = _EXECUTIONS.c
_ROW = Base.metadata.tables["batch_lanes"].c


OTHERS_FIRST = timedelta(seconds=1)
"""A lane is kept so long for workers that hold less of its batch; then for who has a place."""

_WAITING = """
FROM batch_lanes AS l
WHERE ((l.waits_since IS NOT NULL AND NOT l.is_held) OR (l.is_held AND NOT EXISTS (
    SELECT FROM processes AS p WHERE p.id = l.owner_id AND p.ended_at IS NULL
)))
"""
# Counted with those of the dead: they are taken over soon.
_HELD = "(SELECT count(*) FROM batch_lanes AS o WHERE o.batch_id = l.batch_id AND o.is_held)"
# Of a batch that has just come a worker takes its part: the others have as much room.
_IS_FAIR = f"""(
    l.is_held OR l.waits_since < now() - interval '{OTHERS_FIRST.total_seconds()} s'
    OR (
        SELECT count(*) FILTER (WHERE o.is_held AND o.owner_id = :owner_id)
            < ceil(count(*) / greatest((SELECT count(*) FROM workers), 1.0))
        FROM batch_lanes AS o WHERE o.batch_id = l.batch_id
    )
)"""  # noqa: S608 - our own text
_NEXT = text(f"""
WITH workers AS MATERIALIZED (
    SELECT FROM job_workers AS j JOIN processes AS p ON p.id = j.process_id
    WHERE j.queue = '{QUEUE}' AND p.ended_at IS NULL
)
SELECT w.batch_id, w.number FROM (
    SELECT l.batch_id, l.number, l.waits_since, {_HELD} AS held {_WAITING} AND {_IS_FAIR}
) AS w JOIN batch_lanes AS l USING (batch_id, number)
WHERE NOT :is_first OR w.held = 0
ORDER BY w.held, w.waits_since NULLS FIRST, w.batch_id, w.number LIMIT 1
FOR UPDATE OF l SKIP LOCKED
""")  # noqa: S608 - our own text
_COUNT_WAITING = text(f"""
SELECT count(*) FROM (SELECT {_HELD} AS held {_WAITING}) AS w WHERE NOT :is_first OR w.held = 0
""")  # noqa: S608 - our own text


@dataclass(frozen=True)
class TakenLane:
    """A lane and what its last holder left running.

    `has_crashed` tells that the holder died with it, `alone` the place of the item that ran with
    no other beside it then.
    """

    lane: HeldLane
    left: Sequence[Item]
    has_crashed: bool
    alone: int | None


class WaitingLaneStore:
    """Finds lanes that wait, and takes them, within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def take_next(self, owner_id: UUID, *, is_first: bool = False) -> TakenLane | None:
        """Take the lane that has waited longest of the batches that fewest lanes are held of.

        None where no lane waits; with `is_first`, where none waits of a batch without held lanes.
        Of one batch's lanes a process takes no more at first than there are for each worker.
        """
        bound = {"is_first": is_first, "owner_id": owner_id}
        while row := (await self._session.execute(_NEXT, bound)).one_or_none():
            taken = await self.take(row.batch_id, row.number, owner_id)
            if taken is not None:  # else another was quicker
                return taken
        return None

    async def take(self, batch_id: UUID, number: int, owner_id: UUID) -> TakenLane | None:
        """Take a lane, and what its last holder left running; None where a living one holds it."""
        before = await self._session.get(
            BatchLane, (batch_id, number), with_for_update=True, populate_existing=True
        )
        if before is None or (before.is_held and await self._is_another(before, owner_id)):
            return None
        lane = HeldLane(batch_id, number, before.share, before.token + 1, owner_id)
        left = await self._take_back(lane, before.owner_id)
        has_crashed = before.is_held and before.owner_id != owner_id
        taken = TakenLane(lane, left, has_crashed, before.alone)
        held = {"is_held": True, "waits_since": None, "alone": None}
        values = {"token": lane.token, "owner_id": owner_id, **held}
        await self._session.execute(update_of(lane).values(values))
        return taken

    async def count_waiting(self, *, is_first: bool = False) -> int:
        """Count the lanes that somebody should take; with `is_first`, of batches without any."""
        bound = {"is_first": is_first}
        return int((await self._session.scalars(_COUNT_WAITING, bound)).one())

    async def wake_up(self) -> None:
        """Have some process look for lanes that wait, with this transaction's commit."""
        await JobStore(self._session).wake_up(QUEUE, TASK)

    async def remind(self) -> None:
        """Wake somebody up where a lane waits."""
        if await self.count_waiting():
            await self.wake_up()

    async def list_held(self, owner_id: UUID) -> Sequence[tuple[UUID, int]]:
        """List the lanes that a process holds: batch and number."""
        query = select(_ROW.batch_id, _ROW.number).where(_ROW.owner_id == owner_id, _ROW.is_held)
        return [(row.batch_id, row.number) for row in await self._session.execute(query)]

    async def _is_another(self, lane: BatchLane, owner_id: UUID) -> bool:
        """Tell whether the lane's holder is somebody else who lives."""
        lives = select(Process.id).where(Process.id == lane.owner_id, Process.ended_at.is_(None))
        found = (await self._session.scalars(lives)).one_or_none()
        return found is not None and found != owner_id

    async def _take_back(self, lane: HeldLane, from_id: UUID | None) -> Sequence[Item]:
        statement = (
            update(_EXECUTIONS)
            .where(
                _ITEMS.id.between(*item_range(lane.batch_id)),
                _ITEMS.owner_id == from_id,
                _ITEMS.status == ExecutionStatus.RUNNING,
                _ITEMS.lane == lane.number,
            )
            .values(owner_id=lane.owner_id)
            .returning(*ITEM)
        )
        return items_of(await self._session.execute(statement))
