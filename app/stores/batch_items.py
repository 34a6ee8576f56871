"""The items of batches: rows of `executions`, whose ids are one range for each batch."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, Double, Select, Text, cast, delete, exists, func, null, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Execution
from app.models.executions import WHAT_RUNS
from app.models.ids import LAST_PLACE, item_id, item_range
from app.models.states import ExecutionStatus, Outcome
from app.stores.documents import dump_document
from app.stores.pages import Page, Paged, on_rising_page, page_with, paged
from app.stores.removals import is_among

SLICE = 10_000
"""As many items are written by one statement."""

MOST_BYTES = 8 << 20
"""A list of results ends where its documents have so many bytes, however few its items are."""

SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}

_TABLE = Execution.__table__.c

_COMMON = (
    "batch_id",
    *WHAT_RUNS,
    "execution_options",
    "metadata",
    "request_id",
)
"""The columns that are the same for all items of a batch."""

_DOCUMENTS = {"execution_options", "metadata"}
"""Those of them that are written as JSON."""

_COLUMNS = (
    *_COMMON,
    *("attempts", "created_at"),
    *("id", "item_index", "custom_id", "inputs", "error"),
    *("status", "outcome", "duration_ms", "finished_at"),
)
_PENDING = (ExecutionStatus.PENDING, None, None, None)

_COUNT_ENDED = """
counted AS (
    INSERT INTO execution_counts (program_id, ended, last_ended_at)
    SELECT program_id, count(*), now() FROM ended GROUP BY program_id
)
"""
_HOLD = text("""
SELECT next_index, least(next_index + :limit, total_items) FROM batches
WHERE id = :batch_id FOR UPDATE
""")
_CANCEL = text(f"""
WITH ended AS (
    UPDATE executions
    SET status = '{ExecutionStatus.CANCELLED}', outcome = '{Outcome.CANCELLED}',
        error = CAST(:error AS json), duration_ms = 0, finished_at = now()
    WHERE id BETWEEN :low AND :high AND status = '{ExecutionStatus.PENDING}'
    RETURNING program_id, program_name, adapter_type
), {_COUNT_ENDED}
SELECT count(*), min(program_name), min(adapter_type) FROM ended
""")  # noqa: S608 - our own states
_ADVANCE = text("""
UPDATE batches SET next_index = :after, cancelled_items = cancelled_items + :cancelled,
    ended_ahead = ended_ahead - (CAST(:after AS int) - :before - :cancelled)
WHERE id = :batch_id
""")


@dataclass(frozen=True)
class NewItem:
    """An item that comes in; with an `error` it is recorded as failed."""

    index: int
    custom_id: str | None
    inputs: Any
    error: Mapping[str, Any] | None = None


class ItemRow(NamedTuple):
    """What an item brings to its record: JSON is text."""

    item_index: int
    custom_id: str | None
    inputs: str
    error: str | None


def row_of(item: NewItem) -> ItemRow:
    """Write an item's JSON."""
    error = None if item.error is None else dump_document(item.error)
    return ItemRow(item.index, item.custom_id, dump_document(item.inputs), error)


@dataclass(frozen=True)
class ItemFilter:
    """Which items a list of results is about; None asks for all.

    The places bound what is looked at.
    """

    status: ExecutionStatus | None = None
    outcome: Outcome | None = None
    from_index: int = 0
    from_place: int = 0
    to_place: int = LAST_PLACE


EVERY = ItemFilter()


class ItemResult(NamedTuple):
    """What came of an item; a part that was not asked for is None."""

    item_index: int
    custom_id: str | None
    id: UUID
    status: str
    outcome: str | None
    outputs: dict[str, Any] | None
    error: dict[str, Any] | None
    duration_ms: float | None
    inputs: Any
    attempts: list[dict[str, Any]] | None
    usage: dict[str, Any] | None


RESULT_PARTS = ("inputs", "attempts", "usage")
"""What a result leaves out unless it is asked for."""

_SIZED = ("outputs", "error", *RESULT_PARTS)
"""The documents of a result, of any size."""


class CancelledSlice(NamedTuple):
    """How many items were cancelled, and whose they were; None where there were none."""

    items: int
    program_name: str | None
    adapter_type: str | None


class BatchItemStore:
    """Reads and writes the items of batches within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(
        self, common: Mapping[str, Any], first_place: int, rows: Iterable[ItemRow]
    ) -> None:
        """Add items from a place on; `common` are the columns that are the same for all of them.

        Those with an error have failed, and are counted with their batch.
        """
        batch_id: UUID = common["batch_id"]
        now = (await self._session.scalars(select(func.now()))).one()
        failed = (ExecutionStatus.FAILED, Outcome.VALIDATION_ERROR, 0.0, now)
        documents = {name: dump_document(common[name]) for name in _DOCUMENTS}
        same = (*({**common, **documents}[name] for name in _COMMON), "[]", now)
        records = (
            (*same, item_id(batch_id, place), *row, *(_PENDING if row.error is None else failed))
            for place, row in enumerate(rows, first_place)
        )
        connection = await (await self._session.connection()).get_raw_connection()
        link: Any = connection.driver_connection
        await link.copy_records_to_table("executions", records=records, columns=_COLUMNS)

    async def delete_slice(self, batch_id: UUID, limit: int = SLICE) -> bool:
        """Remove some items of a batch that has not come about; False where there are none."""
        within = _TABLE.id.between(*item_range(batch_id))
        some = select(_TABLE.id).where(within).order_by(_TABLE.id).limit(limit)
        gone = delete(Execution).where(within, is_among(_TABLE.id, some)).returning(_TABLE.id)
        return bool((await self._session.scalars(gone)).all())

    async def cancel_slice(
        self, batch_id: UUID, error: Mapping[str, Any], limit: int = SLICE
    ) -> CancelledSlice | None:
        """End the next items that were not handed out, and move the cursor behind them.

        None where none is left.
        """
        bound = {"batch_id": batch_id, "limit": limit}
        before, after = (await self._session.execute(_HOLD, bound)).one()
        if before == after:
            return None
        ranged = {"low": item_id(batch_id, before), "high": item_id(batch_id, after - 1)}
        ended = await self._session.execute(_CANCEL, {**ranged, "error": dump_document(error)})
        cancelled = CancelledSlice(*ended.one())
        moved = {"before": before, "after": after, "cancelled": cancelled.items}
        await self._session.execute(_ADVANCE, {"batch_id": batch_id, **moved})
        return cancelled

    async def list_ended(
        self, batch_id: UUID, page: Page, wanted: ItemFilter = EVERY
    ) -> Paged[Execution]:
        """List items that have ended, in order of their index."""
        query = _ended(select(Execution), batch_id, wanted)
        rows = (await self._session.scalars(on_rising_page(query, _TABLE.id, page))).all()
        return paged(rows, page)

    async def list_results(
        self, batch_id: UUID, page: Page, wanted: ItemFilter, parts: Collection[str]
    ) -> Paged[ItemResult]:
        """List what came of items that have ended: whole records take three times as long.

        A page has fewer items than it may have where they are large: MOST_BYTES and one of them.
        """
        columns = [
            null().label(name) if name in RESULT_PARTS and name not in parts else _TABLE[name]
            for name in ItemResult._fields
        ]
        query = on_rising_page(_ended(select(*columns), batch_id, wanted), _TABLE.id, page)
        rows = (await self._session.execute(_that_fit(query))).all()
        items = [ItemResult(*row[:-1]) for row in rows[: page.limit]]
        return page_with(
            items, attrgetter("id"), has_next=bool(rows) and rows[0].found > len(items)
        )

    async def has_first(self, batch_id: UUID) -> bool:
        """Tell whether the first item of a batch is there, which is removed before any other."""
        query = select(exists().where(_TABLE.id == item_id(batch_id, 0)))
        return bool((await self._session.scalars(query)).one())

    async def list_unfinished(
        self, batch_id: UUID, after: UUID | None, limit: int
    ) -> Sequence[Execution]:
        """List items that have ended otherwise than completed, in order, from behind an item."""
        low, high = item_range(batch_id)
        query = (
            select(Execution)
            .where(
                _TABLE.id.between(low, high),
                _TABLE.status.in_([ExecutionStatus.FAILED, ExecutionStatus.CANCELLED]),
            )
            .order_by(_TABLE.id)
            .limit(limit)
        )
        if after is not None:
            query = query.where(_TABLE.id > after)
        return (await self._session.scalars(query)).all()

    async def percentiles(self, batch_id: UUID) -> Mapping[str, float | None]:
        """Reckon the percentiles of the durations of a batch's ended items, in milliseconds."""
        wanted = cast(list(SHARES.values()), ARRAY(Double))
        shares = func.percentile_cont(wanted).within_group(_TABLE.duration_ms)
        query = select(shares).where(_TABLE.id.between(*item_range(batch_id)))
        found = (await self._session.scalars(query)).one()
        return dict(zip(SHARES, found or [None] * len(SHARES), strict=True))


def _that_fit(query: Select[Any]) -> Select[Any]:
    """Cut selected results where they become too large; `found` is how many there were."""
    some = query.subquery()
    sizes = [func.coalesce(func.octet_length(cast(some.c[name], Text)), 0) for name in _SIZED]
    before = func.sum(sum(sizes)).over(order_by=some.c.id, rows=(None, -1))
    found = func.count().over().label("found")
    sized = select(some, found, func.coalesce(before, 0).label("before")).subquery()
    shown = [column for column in sized.c if column.name != "before"]
    return select(*shown).where(sized.c.before < MOST_BYTES).order_by(sized.c.id)


def _ended(query: Select[Any], batch_id: UUID, wanted: ItemFilter) -> Select[Any]:
    low, high = item_id(batch_id, wanted.from_place), item_id(batch_id, wanted.to_place)
    query = query.where(
        _TABLE.id.between(low, high),
        _TABLE.finished_at.is_not(None),
        _TABLE.item_index >= wanted.from_index,
    )
    if wanted.status is not None:
        query = query.where(_TABLE.status == wanted.status)
    if wanted.outcome is not None:
        query = query.where(_TABLE.outcome == wanted.outcome)
    return query
