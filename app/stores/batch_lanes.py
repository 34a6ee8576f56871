"""The rows of `batch_lanes`, and the items that lanes are handed and end.

Whoever writes for a lane holds its row and shows the token that it was given: a holder that was
thought dead and comes back finds the token risen, and writes nothing. Locks are taken in the order
lane (of several, the highest number first), batch, items.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Double, cast, extract, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Base, BatchLane, Process
from app.models.batches import QUEUE, TASK
from app.models.ids import item_id, item_range
from app.models.states import BatchStatus, ExecutionStatus
from app.stores.recorder.statements import ENDING, ITEM_ENDING, encoded, unnested

_EXECUTIONS = Base.metadata.tables["executions"]
_LANES = Base.metadata.tables["batch_lanes"]
_ITEMS = _EXECUTIONS.c
_ITEM = (
    _ITEMS.id,
    _ITEMS.item_index,
    _ITEMS.inputs,
    _ITEMS.attempts,
    _ITEMS.started_at,
    cast(func.round(extract("epoch", func.now() - _ITEMS.started_at) * 1_000, 3), Double),
)
_ROW = _LANES.c


class LaneLostError(Exception):
    """Somebody else has taken the lane: what its holder would write is not written."""


@dataclass(frozen=True)
class HeldLane:
    """A lane in the hands of a process; `token` is the proof."""

    batch_id: UUID
    number: int
    share: int
    token: int
    owner_id: UUID


@dataclass(frozen=True)
class Item:
    """An item that is handed out; `attempts` are those that were lost with a process.

    It was handed out at `started_at`, `taken_ms` before it was read.
    """

    id: UUID
    index: int
    inputs: Mapping[str, Any]
    attempts: Sequence[Mapping[str, Any]]
    started_at: datetime
    taken_ms: float


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


_CLAIM = text(f"""
UPDATE batches AS b SET next_index = least(b.next_index + :limit, b.total_items)
FROM (SELECT id, next_index FROM batches WHERE id = :batch_id FOR UPDATE) AS before
WHERE b.id = before.id AND b.status = '{BatchStatus.RUNNING}' AND b.stopping IS NULL
    AND b.next_index < b.total_items
RETURNING before.next_index, b.next_index
""")  # noqa: S608 - our own states
_PASS_ENDED = text("UPDATE batches SET ended_ahead = ended_ahead - :passed WHERE id = :batch_id")

_WAITING = """
FROM batch_lanes AS l
WHERE (l.waits_since IS NOT NULL AND NOT l.is_held) OR (l.is_held AND NOT EXISTS (
    SELECT FROM processes AS p WHERE p.id = l.owner_id AND p.ended_at IS NULL
))
"""
# Counted with those of the dead: they are taken over soon.
_HELD = "(SELECT count(*) FROM batch_lanes AS o WHERE o.batch_id = l.batch_id AND o.is_held)"
_NEXT = text(f"""
SELECT w.batch_id, w.number FROM (
    SELECT l.batch_id, l.number, l.waits_since, {_HELD} AS held {_WAITING}
) AS w JOIN batch_lanes AS l USING (batch_id, number)
WHERE NOT :is_first OR w.held = 0
ORDER BY w.held, w.waits_since NULLS FIRST, w.batch_id, w.number LIMIT 1
FOR UPDATE OF l SKIP LOCKED
""")  # noqa: S608 - our own text
_COUNT_WAITING = text(f"""
SELECT count(*) FROM (SELECT {_HELD} AS held {_WAITING}) AS w WHERE NOT :is_first OR w.held = 0
""")  # noqa: S608 - our own text

_FINISH = text(f"""
WITH ended AS (
    UPDATE executions AS e
    SET {", ".join(f"{name} = n.{name}" for name in ENDING[1:-1])}, finished_at = now()
    FROM {unnested(ITEM_ENDING, ":{name}")}
    WHERE e.id = n.id AND e.id BETWEEN :low AND :high AND e.status = '{ExecutionStatus.RUNNING}'
    RETURNING e.id, e.program_id, e.status, e.duration_ms, e.usage, n.retries
), counted AS (
    INSERT INTO execution_counts (program_id, ended, last_ended_at)
    SELECT program_id, count(*), now() FROM ended GROUP BY program_id
), summed AS (
    SELECT count(*) FILTER (WHERE status = '{ExecutionStatus.COMPLETED}') AS succeeded,
        count(*) FILTER (WHERE status = '{ExecutionStatus.FAILED}') AS failed,
        count(*) FILTER (WHERE status = '{ExecutionStatus.CANCELLED}') AS cancelled,
        coalesce(sum(retries), 0) AS retries,
        coalesce(sum(duration_ms), 0) AS duration_ms,
        coalesce(sum((usage->>'prompt_tokens')::bigint), 0) AS prompt_tokens,
        coalesce(sum((usage->>'completion_tokens')::bigint), 0) AS completion_tokens,
        coalesce(sum((usage->>'total_tokens')::bigint), 0) AS total_tokens,
        coalesce(sum((usage->>'lm_calls')::bigint), 0) AS lm_calls
    FROM ended
), tallied AS (
    UPDATE batch_lanes AS l
    SET succeeded = l.succeeded + s.succeeded, failed = l.failed + s.failed,
        cancelled = l.cancelled + s.cancelled, retries = l.retries + s.retries,
        duration_ms = l.duration_ms + s.duration_ms,
        prompt_tokens = l.prompt_tokens + s.prompt_tokens,
        completion_tokens = l.completion_tokens + s.completion_tokens,
        total_tokens = l.total_tokens + s.total_tokens, lm_calls = l.lm_calls + s.lm_calls
    FROM summed AS s WHERE l.batch_id = :batch_id AND l.number = :number
)
SELECT id FROM ended
""")  # noqa: S608 - our own columns and states


class LaneStore:
    """Reads and writes lanes within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def take_next(self, owner_id: UUID, *, is_first: bool = False) -> TakenLane | None:
        """Take the lane that has waited longest of the batches that fewest lanes are held of.

        None where no lane waits; with `is_first`, where none waits of a batch without held lanes.
        """
        bound = {"is_first": is_first}
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
        await self._session.execute(_of(lane).values(values))
        return taken

    async def count_waiting(self, *, is_first: bool = False) -> int:
        """Count the lanes that somebody should take; with `is_first`, of batches without any."""
        bound = {"is_first": is_first}
        return int((await self._session.scalars(_COUNT_WAITING, bound)).one())

    async def wake_up(self) -> None:
        """Have some process look for lanes that wait, with this transaction's commit."""
        await wake_up(self._session)

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
            .returning(*_ITEM)
        )
        return _items(await self._session.execute(statement))

    async def list_running(self, lane: HeldLane) -> Sequence[Item]:
        """List the items that run in a lane."""
        query = select(*_ITEM).where(
            _ITEMS.id.between(*item_range(lane.batch_id)),
            _ITEMS.owner_id == lane.owner_id,
            _ITEMS.status == ExecutionStatus.RUNNING,
            _ITEMS.lane == lane.number,
        )
        return _items(await self._session.execute(query))

    async def note_attempts(self, lane: HeldLane, items: Sequence[Item]) -> None:
        """Write the lost attempts of items into their records."""
        await self.fence(lane)
        for item in items:
            statement = update(_EXECUTIONS).where(_ITEMS.id == item.id)
            await self._session.execute(statement.values(attempts=item.attempts))

    async def set_alone(self, lane: HeldLane, place: int | None) -> None:
        """Say which item runs alone from now on; LaneLostError."""
        await self.fence(lane)
        await self._session.execute(_of(lane).values(alone=place))

    async def claim(self, lane: HeldLane, limit: int) -> Sequence[Item] | None:
        """Hand the next items to a lane; None where the batch hands out nothing more.

        Items that have ended before are passed by. Raises LaneLostError.
        """
        await self.fence(lane)
        bound = {"batch_id": lane.batch_id, "limit": limit}
        moved = (await self._session.execute(_CLAIM, bound)).one_or_none()
        if moved is None:
            return None
        before, after = moved
        statement = (
            update(_EXECUTIONS)
            .where(
                _ITEMS.id.between(
                    item_id(lane.batch_id, before), item_id(lane.batch_id, after - 1)
                ),
                _ITEMS.status == ExecutionStatus.PENDING,
            )
            .values(
                status=ExecutionStatus.RUNNING,
                owner_id=lane.owner_id,
                lane=lane.number,
                started_at=func.now(),
            )
            .returning(*_ITEM)
        )
        items = _items(await self._session.execute(statement))
        if passed := after - before - len(items):
            bound = {"batch_id": lane.batch_id, "passed": passed}
            await self._session.execute(_PASS_ENDED, bound)
        return items

    async def finish(
        self, lane: HeldLane, endings: Sequence[Mapping[str, Any]], *, poisonous: int = 0
    ) -> set[UUID]:
        """End items and count them; give those that had not ended. Raises LaneLostError.

        An end says how many `retries` there were. `poisonous` of the items have killed as many
        processes as they may.
        """
        await self.fence(lane)
        rows = sorted((encoded(ITEM_ENDING, ending) for ending in endings), key=lambda row: row[0])
        bound: dict[str, Any] = dict(zip(ITEM_ENDING, zip(*rows, strict=True), strict=True))
        bound |= {"low": rows[0][0], "high": rows[-1][0]}
        bound |= {"batch_id": lane.batch_id, "number": lane.number}
        ended = set((await self._session.scalars(_FINISH, bound)).all())
        if poisonous:
            more = {"poisonous": _ROW.poisonous + poisonous}
            await self._session.execute(_of(lane).values(more))
        return ended

    async def release(self, lane: HeldLane, *, waits: bool) -> bool:
        """Give a lane back; False where somebody else has taken it.

        It waits for the next holder where there is work left, or came meanwhile.
        """
        values = {"is_held": False, "alone": None} | ({"waits_since": func.now()} if waits else {})
        statement = _of(lane).where(_ROW.token == lane.token).values(values)
        released = await self._session.scalars(statement.returning(_ROW.number))
        if waits:
            await self.wake_up()
        return released.one_or_none() is not None

    async def list_numbers(self, batch_id: UUID) -> Sequence[int]:
        """List the numbers of a batch's lanes."""
        query = select(_ROW.number).where(_ROW.batch_id == batch_id).order_by(_ROW.number)
        return (await self._session.scalars(query)).all()

    async def fence(self, lane: HeldLane) -> None:
        """Hold the lane's row until the end of the transaction; LaneLostError."""
        query = (
            select(_ROW.number)
            .where(
                _ROW.batch_id == lane.batch_id,
                _ROW.number == lane.number,
                _ROW.token == lane.token,
            )
            .with_for_update()
        )
        if (await self._session.scalars(query)).one_or_none() is None:
            raise LaneLostError(f"Lane {lane.number} of batch {lane.batch_id} was taken.")


async def wake_up(session: AsyncSession) -> None:
    """Have some process look for lanes that wait."""
    await session.execute(select(func.dspatch_wake_up(QUEUE, TASK)))


def _items(rows: Iterable[Any]) -> Sequence[Item]:
    return sorted((Item(*row) for row in rows), key=lambda item: item.id)


def _of(lane: HeldLane) -> Any:
    return update(_LANES).where(_ROW.batch_id == lane.batch_id, _ROW.number == lane.number)
