"""The rows of `batches`, read together with what their lanes have counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Double,
    Select,
    and_,
    cast,
    func,
    insert,
    select,
    true,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import BatchNotFoundError
from app.models import Batch, BatchLane, ExecutionCount, WebhookDelivery
from app.models.states import LIVE_BATCH, BatchStatus, DeliveryStatus, batch_origins
from app.stores.pages import Page, Paged, on_page, paged
from app.stores.waiting_lanes import WaitingLaneStore

TOLD_EVERY_S = 1.0
"""How often a batch's receiver is told of its progress at most."""

_LANES = BatchLane.__table__.c


@dataclass(frozen=True)
class Tally:
    """What the lanes of a batch have ended: items, and sums over them."""

    succeeded: int
    failed: int
    cancelled: int
    poisonous: int
    retries: int
    duration_ms: float
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    lm_calls: int


_SUMS = [
    cast(
        func.coalesce(func.sum(_LANES[name]), 0),
        Double if name == "duration_ms" else BigInteger,
    ).label(name)
    for name in Tally.__dataclass_fields__
]
_SUMMED = select(*_SUMS).where(_LANES.batch_id == Batch.id).lateral("summed")


@dataclass(frozen=True)
class BatchReading:
    """A batch and its counts at the moment `read_at`; they add up to its items.

    `batch` counts what no lane has ended, `tally` the rest.
    """

    batch: Batch
    tally: Tally
    read_at: datetime

    @property
    def id(self) -> UUID:
        """The id of the batch."""
        return self.batch.id

    @property
    def successful_items(self) -> int:
        """Items that are completed."""
        return self.tally.succeeded

    @property
    def failed_items(self) -> int:
        """Items that are failed."""
        return self.tally.failed + self.batch.invalid_items

    @property
    def cancelled_items(self) -> int:
        """Items that are cancelled."""
        return self.tally.cancelled + self.batch.cancelled_items

    @property
    def ended_items(self) -> int:
        """Items that have ended; the number never falls."""
        return self.successful_items + self.failed_items + self.cancelled_items

    @property
    def sequence(self) -> int:
        """A number that rises with every change of the counts and of the status."""
        return 1 + self.batch.moves + self.batch.next_index + self.ended_items

    @property
    def pending_items(self) -> int:
        """Items that have not been handed out, and will be unless they end before."""
        return self.batch.total_items - self.batch.next_index - self.batch.ended_ahead

    @property
    def running_items(self) -> int:
        """Items that have been handed out and have not ended."""
        return self.batch.total_items - self.pending_items - self.ended_items


class BatchStore:
    """Reads and writes batches within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, values: Mapping[str, Any], shares: Sequence[int]) -> None:
        """Add a batch with a lane for each share; without items it is completed at once.

        Items that have ended with their coming are counted now that it is there.
        """
        fresh = {**values, "status": BatchStatus.PENDING, "created_at": func.now()}
        if not values["total_items"]:
            ended = {"started_at": func.now(), "finished_at": func.now()}
            fresh |= {"status": BatchStatus.COMPLETED, **ended}
        await self._session.execute(insert(Batch).values(fresh))
        if ended := values["invalid_items"]:
            counted = {"program_id": values["program_id"], "ended": ended}
            await self._session.execute(
                insert(ExecutionCount).values({**counted, "last_ended_at": func.now()})
            )
        lanes = [
            {"batch_id": values["id"], "number": number, "share": share}
            for number, share in enumerate(shares)
        ]
        if lanes:
            await self._session.execute(insert(BatchLane).values(waits_since=func.now()), lanes)
            await WaitingLaneStore(self._session).wake_up()

    async def get(self, batch_id: UUID) -> BatchReading:
        """Find a batch with its counts; BatchNotFoundError where there is none."""
        query = _reading().where(Batch.id == batch_id)
        row = (await self._session.execute(query)).one_or_none()
        if row is None:
            raise BatchNotFoundError(f"There is no batch {batch_id}.")
        return _read(row)

    async def list_these(self, batch_ids: Sequence[UUID]) -> Sequence[BatchReading]:
        """List the batches of these ids that are there, with their counts."""
        rows = await self._session.execute(_reading().where(Batch.id.in_(batch_ids)))
        return [_read(row) for row in rows]

    async def list_page(
        self,
        page: Page,
        *,
        program_id: UUID | None = None,
        status: BatchStatus | None = None,
    ) -> Paged[BatchReading]:
        """List batches with their counts, newest first."""
        query = _reading()
        if program_id is not None:
            query = query.where(Batch.program_id == program_id)
        if status is not None:
            query = query.where(Batch.status == status)
        rows = await self._session.execute(on_page(query, Batch.__table__.c.id, page))
        return paged([_read(row) for row in rows], page)

    async def find_stopping(self, batch_id: UUID) -> BatchStatus | None:
        """Tell as what a batch is going to end before its time, if it is."""
        query = select(Batch.stopping).where(Batch.id == batch_id)
        found = (await self._session.scalars(query)).one_or_none()
        return None if found is None else BatchStatus(found)

    async def count_by_status(self) -> Mapping[str, int]:
        """Count the batches of each status."""
        query = select(Batch.status, func.count()).group_by(Batch.status)
        found = {row[0]: row[1] for row in await self._session.execute(query)}
        return {status.value: found.get(status, 0) for status in BatchStatus}

    async def count_pending_items(self) -> int:
        """Count the items of all batches that have not been handed out."""
        pending = func.sum(Batch.total_items - Batch.next_index - Batch.ended_ahead)
        query = select(cast(func.coalesce(pending, 0), BigInteger)).where(
            Batch.status.in_(LIVE_BATCH)
        )
        return (await self._session.scalars(query)).one()

    async def hold(self, batch_id: UUID) -> None:
        """Let nobody hand out or stop a batch until this transaction ends.

        Whoever holds a batch and writes its items holds it first.
        """
        query = select(Batch.id).where(Batch.id == batch_id).with_for_update()
        if (await self._session.scalars(query)).one_or_none() is None:
            raise BatchNotFoundError(f"There is no batch {batch_id}.")

    async def start(self, batch_id: UUID) -> bool:
        """Have the items of a batch handed out that has waited for that."""
        times = {"started_at": func.now()}
        return await self._move(batch_id, [BatchStatus.PENDING], BatchStatus.RUNNING, times)

    async def pause(self, batch_id: UUID) -> bool:
        """Hand out no more items; False where the status does not allow it."""
        origins = batch_origins(BatchStatus.PAUSED)
        return await self._move(batch_id, origins, BatchStatus.PAUSED)

    async def resume(self, batch_id: UUID) -> bool:
        """Hand out items again to all lanes; False where the batch is not paused."""
        times = {"started_at": func.coalesce(Batch.started_at, func.now())}
        origins, lanes = [BatchStatus.PAUSED], _LANES.batch_id == batch_id
        await self._hold_lanes(lanes)
        if not await self._move(batch_id, origins, BatchStatus.RUNNING, times):
            return False
        await self._call(lanes)
        return True

    async def stop(
        self, batch_id: UUID, target: BatchStatus, error: Mapping[str, Any] | None = None
    ) -> bool:
        """Have a batch end as `target` once its items have; False where it ends or has ended.

        Its first lane sees to that, if no other does.
        """
        first = and_(_LANES.batch_id == batch_id, _LANES.number == 0)
        await self._hold_lanes(first)
        statement = (
            update(Batch)
            .where(Batch.id == batch_id, Batch.status.in_(LIVE_BATCH), Batch.stopping.is_(None))
            .values(stopping=target, error=error, moves=Batch.moves + 1)
        )
        if not await self._did(statement):
            return False
        await self._call(first)
        return True

    async def close(self, batch_id: UUID, percentiles: Mapping[str, Any]) -> bool:
        """End a batch whose items have all ended; False where it had ended before."""
        status = func.coalesce(Batch.stopping, BatchStatus.COMPLETED)
        statement = (
            update(Batch)
            .where(Batch.id == batch_id, Batch.status.in_(LIVE_BATCH))
            .values(
                status=status,
                moves=Batch.moves + 1,
                percentiles=percentiles,
                started_at=func.coalesce(Batch.started_at, func.now()),
                finished_at=func.now(),
            )
        )
        return await self._did(statement)

    async def is_to_tell(self, batch_id: UUID) -> bool:
        """Tell whether a batch's receiver is to be told of its progress now; true once a second.

        Nothing new is told as long as something waits to be, nor after the end.
        """
        waits = select(WebhookDelivery.id).where(
            WebhookDelivery.batch_id == batch_id, WebhookDelivery.status == DeliveryStatus.PENDING
        )
        statement = (
            update(Batch)
            .where(
                Batch.id == batch_id,
                Batch.status.in_(LIVE_BATCH),
                func.coalesce(Batch.told_at, Batch.created_at)
                <= func.now() - timedelta(seconds=TOLD_EVERY_S),
                ~waits.exists(),
            )
            .values(told_at=func.now())
        )
        return await self._did(statement)

    async def count_cancelled(self, batch_id: UUID, *, was_pending: bool) -> None:
        """Count an item of a batch that is held, which somebody else than its lane cancelled."""
        statement = (
            update(Batch)
            .where(Batch.id == batch_id)
            .values(
                cancelled_items=Batch.cancelled_items + 1,
                ended_ahead=Batch.ended_ahead + int(was_pending),
            )
        )
        await self._session.execute(statement)

    async def _hold_lanes(self, which: ColumnElement[bool]) -> None:
        """Hold lanes as their holders do: before their batch.

        The first is held last, since a lane that has its batch stop holds itself before.
        """
        query = select(_LANES.number).where(which).order_by(_LANES.number.desc())
        await self._session.execute(query.with_for_update())

    async def _call(self, which: ColumnElement[bool]) -> None:
        """Have lanes taken by somebody, after their holder where there is one."""
        await self._session.execute(update(BatchLane).where(which).values(waits_since=func.now()))

    async def _move(
        self,
        batch_id: UUID,
        origins: Sequence[BatchStatus],
        target: BatchStatus,
        values: Mapping[str, Any] | None = None,
    ) -> bool:
        statement = (
            update(Batch)
            .where(Batch.id == batch_id, Batch.status.in_(origins), Batch.stopping.is_(None))
            .values(status=target, moves=Batch.moves + 1, **(values or {}))
        )
        return await self._did(statement)

    async def _did(self, statement: Any) -> bool:
        moved = statement.returning(Batch.id)
        return (await self._session.scalars(moved)).one_or_none() is not None


def _reading() -> Select[Any]:
    """Select batches and their tallies: one statement, so that the counts are of one moment."""
    query = select(Batch, func.now(), *_SUMMED.c).join(_SUMMED, true())
    return query.execution_options(populate_existing=True)


def _read(row: Any) -> BatchReading:
    batch, read_at, *sums = row
    return BatchReading(batch, Tally(*sums), read_at)
