"""What a lane reads and writes of its batch, patient with a database that is away."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from uuid import UUID

from app.actions.batch_processing.item_work import unfit
from app.actions.batch_processing.ledger import Row
from app.actions.batch_processing.suspects import MOST_POISONOUS, TOO_POISONOUS
from app.actions.patience import AGAIN_AFTER_S, patiently
from app.adapters.errors import AdapterError, ErrorType
from app.database import Database
from app.errors import DatabaseUnavailableError
from app.models.states import BatchStatus, ExecutionStatus
from app.policies.clock import Clock
from app.stores.batch_lanes import HeldLane, Item, LaneLostError
from app.stores.batches import BatchReading
from app.stores.transaction import Transaction

logger = logging.getLogger(__name__)


class LaneRecords:
    """Claims and ends the items of one lane.

    Everything raises LaneLostError once somebody else has taken the lane. A claim whose answer was
    lost is found again: what runs by the record, and is not known here, is claimed.
    """

    def __init__(
        self, database: Database, lane: HeldLane, owner_id: Callable[[], UUID], clock: Clock
    ) -> None:
        self._database = database
        self._lane = lane
        self._owner_id = owner_id
        self._clock = clock
        self._known = set[UUID]()

    def know(self, items: Sequence[Item]) -> None:
        """Say which items the lane has from its last holder."""
        self._known.update(item.id for item in items)

    async def open(self) -> BatchReading:
        """Read the batch, whose items are handed out from now on if they waited for that."""

        async def work() -> BatchReading:
            async with self._database.transaction() as tx:
                await tx.batches.start(self._lane.batch_id)
                return await tx.batches.get(self._lane.batch_id)

        return await patiently(self._clock, work)

    async def claim(self, limit: int) -> Sequence[Item] | None:
        """Claim up to `limit` items, one at least; None where there are none any more."""
        is_certain = True
        while True:
            try:
                self._require_owner()
                async with self._database.autocommit() as tx:
                    items = await self._claimed(tx, limit, is_certain=is_certain)
            except DatabaseUnavailableError:
                is_certain = False
                await self._clock.sleep(AGAIN_AFTER_S)
                continue
            if items is None or items:
                self.know(items or ())
                return items

    async def set_alone(self, place: int | None) -> None:
        """Say which item runs alone from now on."""

        async def work() -> None:
            async with self._database.transaction() as tx:
                await tx.lanes.set_alone(self._lane, place)

        await patiently(self._clock, work)

    async def end(self, rows: Sequence[Row], *, stops_at_failure: bool) -> set[UUID]:
        """End items; those that were ended by somebody else before are left out of the answer.

        An end that the database refuses is a bug of the adapter: the item ends as failed.
        """
        try:
            ended = await patiently(self._clock, partial(self._end, rows, stops_at_failure))
        except LaneLostError:
            raise
        except Exception as error:  # noqa: BLE001 - the guilty row's is logged
            ended = await self._end_each(rows, stops_at_failure, error)
        self._known.difference_update(row["id"] for row in rows)
        return ended

    async def end_poisonous(self, rows: Sequence[Row]) -> None:
        """End items that have killed their processes; a batch with too many of them stops."""

        async def work() -> None:
            async with self._database.transaction() as tx:
                await tx.lanes.fence(self._lane)
                read = await tx.batches.get(self._lane.batch_id)
                if read.tally.poisonous + len(rows) >= MOST_POISONOUS:
                    error = TOO_POISONOUS.as_document()
                    await tx.batches.stop(self._lane.batch_id, BatchStatus.FAILED, error)
                await tx.lanes.finish(self._lane, rows, poisonous=len(rows))

        await patiently(self._clock, work)

    async def stop(self, error: AdapterError) -> None:
        """Have the batch fail, for a reason that is none of its items'."""

        async def work() -> None:
            async with self._database.transaction() as tx:
                await tx.batches.stop(self._lane.batch_id, BatchStatus.FAILED, error.as_document())

        await patiently(self._clock, work)

    async def is_cancelled(self) -> bool:
        """Tell whether somebody has cancelled the batch."""
        async with self._database.transaction() as tx:
            stopping = await tx.batches.find_stopping(self._lane.batch_id)
        return stopping == BatchStatus.CANCELLED

    async def release(self, *, waits: bool) -> None:
        """Give the lane back; it waits for the next holder where there is work left."""

        async def work() -> None:
            async with self._database.transaction() as tx:
                await tx.lanes.release(self._lane, waits=waits)

        await patiently(self._clock, work)

    async def _end(
        self,
        rows: Sequence[Row],
        stops_at_failure: bool,  # noqa: FBT001 - `partial` takes it by place
    ) -> set[UUID]:
        failed = _first_failed(rows) if stops_at_failure else None
        if failed is None:
            async with self._database.autocommit() as tx:
                return await tx.lanes.finish(self._lane, rows)
        async with self._database.transaction() as tx:
            await tx.lanes.fence(self._lane)
            error = _failure_of(failed)
            await tx.batches.stop(self._lane.batch_id, BatchStatus.FAILED, error)
            return await tx.lanes.finish(self._lane, rows)

    async def _end_each(
        self,
        rows: Sequence[Row],
        stops_at_failure: bool,  # noqa: FBT001 - as `_end`
        error: Exception,
    ) -> set[UUID]:
        """Find out which row is refused by ending each alone."""
        if len(rows) == 1:
            logger.error("item %s cannot be recorded", rows[0]["id"], exc_info=error)
            work = partial(self._end, [unfit(rows[0])], stops_at_failure)
            return await patiently(self._clock, work)
        ended = set[UUID]()
        for row in rows:
            ended |= await self.end([row], stops_at_failure=stops_at_failure)
        return ended

    async def _claimed(
        self, tx: Transaction, limit: int, *, is_certain: bool
    ) -> Sequence[Item] | None:
        if not is_certain:
            running = await tx.lanes.list_running(self._lane)
            if strays := [item for item in running if item.id not in self._known]:
                return strays
        return await tx.lanes.claim(self._lane, limit)

    def _require_owner(self) -> None:
        if self._owner_id() != self._lane.owner_id:
            raise LaneLostError("This process was given up, and its lanes with it.")


def _first_failed(rows: Sequence[Row]) -> Row | None:
    return next((row for row in rows if row["status"] == ExecutionStatus.FAILED), None)


def _failure_of(row: Row) -> dict[str, object]:
    """Say which item a batch stopped at."""
    error = row["error"]
    message = f"Item {row['index']} failed: {error['message']}"
    return AdapterError(
        ErrorType(error["type"]), message, context={"index": row["index"]}
    ).as_document()
