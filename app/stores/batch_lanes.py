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

from app.models import Base
from app.models.batches import QUEUE, TASK
from app.models.ids import item_range
from app.models.states import BatchStatus, ExecutionStatus
from app.stores.jobs import JobStore
from app.stores.recorder.statements import ENDING, ITEM_ENDING, encoded, unnested

_EXECUTIONS = Base.metadata.tables["executions"]
_LANES = Base.metadata.tables["batch_lanes"]
_ITEMS = _EXECUTIONS.c
ITEM = (
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


_HOLD = """
lane AS MATERIALIZED (
    SELECT batch_id, number FROM batch_lanes
    WHERE batch_id = :batch_id AND number = :number AND token = :token FOR UPDATE
)
"""
_PLACE_ID = "(left(b.batch_id::text, 28) || lpad(to_hex(place), 8, '0'))::uuid"
# The range keeps the look-up within the partition of the batch.
_CLAIM = text(f"""
WITH {_HOLD}, before AS MATERIALIZED (
    SELECT b.id AS batch_id, b.next_index AS first,
        least(b.next_index + :limit, b.total_items) AS end
    FROM lane JOIN batches AS b ON b.id = lane.batch_id
    WHERE b.status = '{BatchStatus.RUNNING}' AND b.stopping IS NULL
        AND b.next_index < b.total_items
    FOR UPDATE OF b
), claimed AS (
    UPDATE executions AS e
    SET status = '{ExecutionStatus.RUNNING}', owner_id = :owner_id, lane = :number,
        started_at = now()
    WHERE e.id = ANY(ARRAY(
        SELECT {_PLACE_ID} FROM before AS b, generate_series(b.first, b.end - 1) AS place
    )) AND e.id BETWEEN :low AND :high AND e.status = '{ExecutionStatus.PENDING}'
    RETURNING e.id, e.item_index, e.inputs, e.attempts, e.started_at
), moved AS (
    UPDATE batches AS b
    SET next_index = before.end, ended_ahead =
        b.ended_ahead - (before.end - before.first - (SELECT count(*) FROM claimed))
    FROM before WHERE b.id = before.batch_id
)
SELECT (SELECT count(*) FROM lane) AS is_held, (SELECT count(*) FROM before) AS has_more, c.*
FROM (SELECT 1) AS one LEFT JOIN claimed AS c ON true
ORDER BY c.id
""").columns(inputs=_ITEMS.inputs.type, attempts=_ITEMS.attempts.type)  # noqa: S608 - our own states

_FINISH = text(f"""
WITH {_HOLD}, ended AS (
    UPDATE executions AS e
    SET {", ".join(f"{name} = n.{name}" for name in ENDING[1:-1])}, finished_at = now()
    FROM lane, {unnested(ITEM_ENDING, ":{name}")}
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
    FROM summed AS s, lane WHERE l.batch_id = lane.batch_id AND l.number = lane.number
)
SELECT (SELECT count(*) FROM lane) AS is_held, e.id
FROM (SELECT 1) AS one LEFT JOIN ended AS e ON true
""")  # noqa: S608 - our own columns and states


class LaneStore:
    """Reads and writes what is held, within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def list_running(self, lane: HeldLane) -> Sequence[Item]:
        """List the items that run in a lane."""
        query = select(*ITEM).where(
            _ITEMS.id.between(*item_range(lane.batch_id)),
            _ITEMS.owner_id == lane.owner_id,
            _ITEMS.status == ExecutionStatus.RUNNING,
            _ITEMS.lane == lane.number,
        )
        return items_of(await self._session.execute(query))

    async def note_attempts(self, lane: HeldLane, items: Sequence[Item]) -> None:
        """Write the lost attempts of items into their records."""
        await self.fence(lane)
        for item in items:
            statement = update(_EXECUTIONS).where(_ITEMS.id == item.id)
            await self._session.execute(statement.values(attempts=item.attempts))

    async def set_alone(self, lane: HeldLane, place: int | None) -> None:
        """Say which item runs alone from now on; LaneLostError."""
        await self.fence(lane)
        await self._session.execute(update_of(lane).values(alone=place))

    async def claim(self, lane: HeldLane, limit: int) -> Sequence[Item] | None:
        """Hand the next items to a lane; None where the batch hands out nothing more.

        Items that have ended before are passed by. Raises LaneLostError.
        """
        low, high = item_range(lane.batch_id)
        bound = {"limit": limit, "owner_id": lane.owner_id, "low": low, "high": high}
        rows = (await self._session.execute(_CLAIM, {**_proof(lane), **bound})).all()
        _require(lane, rows[0].is_held)
        if not rows[0].has_more:
            return None
        return [
            Item(row.id, row.item_index, row.inputs, row.attempts, row.started_at, taken_ms=0.0)
            for row in rows
            if row.id is not None
        ]

    async def finish(
        self, lane: HeldLane, endings: Sequence[Mapping[str, Any]], *, poisonous: int = 0
    ) -> set[UUID]:
        """End items and count them; give those that had not ended. Raises LaneLostError.

        An end says how many `retries` there were. `poisonous` of the items have killed as many
        processes as they may.
        """
        rows = sorted((encoded(ITEM_ENDING, ending) for ending in endings), key=lambda row: row[0])
        bound: dict[str, Any] = dict(zip(ITEM_ENDING, zip(*rows, strict=True), strict=True))
        bound |= {"low": rows[0][0], "high": rows[-1][0], **_proof(lane)}
        found = (await self._session.execute(_FINISH, bound)).all()
        _require(lane, found[0].is_held)
        if poisonous:
            more = {"poisonous": _ROW.poisonous + poisonous}
            await self._session.execute(update_of(lane).values(more))
        return {row.id for row in found if row.id is not None}

    async def release(self, lane: HeldLane, *, waits: bool) -> bool:
        """Give a lane back; False where somebody else has taken it.

        It waits for the next holder where there is work left, or came meanwhile.
        """
        values = {"is_held": False, "alone": None} | ({"waits_since": func.now()} if waits else {})
        statement = update_of(lane).where(_ROW.token == lane.token).values(values)
        released = await self._session.scalars(statement.returning(_ROW.number))
        if waits:
            await JobStore(self._session).wake_up(QUEUE, TASK)
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
        _require(lane, (await self._session.scalars(query)).all())


def items_of(rows: Iterable[Any]) -> Sequence[Item]:
    """Make items of rows of the columns ITEM, in their order."""
    return sorted((Item(*row) for row in rows), key=lambda item: item.id)


def update_of(lane: HeldLane) -> Any:
    """Begin a statement that changes the row of a lane."""
    return update(_LANES).where(_ROW.batch_id == lane.batch_id, _ROW.number == lane.number)


def _proof(lane: HeldLane) -> dict[str, Any]:
    return {"batch_id": lane.batch_id, "number": lane.number, "token": lane.token}


def _require(lane: HeldLane, is_held: object) -> None:
    if not is_held:
        raise LaneLostError(f"Lane {lane.number} of batch {lane.batch_id} was taken.")
