"""Close a batch: end what will never run, and the batch once all of its items have ended."""

import logging
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from app.actions.batch_processing.item_work import CANCELLED, NEVER_RAN
from app.actions.batch_processing.telling import BatchTelling
from app.checkpoints import Checkpoint, Reached, nothing
from app.database import Database
from app.models.states import LIVE_BATCH, BatchStatus, Outcome
from app.processes.channel import ControlChannel, Kind
from app.stores.batch_items import CancelledSlice
from app.stores.batches import BatchReading
from app.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)


class BatchClosing:
    """Every lane closes its batch when it has nothing more to do; the last one succeeds, once."""

    def __init__(
        self,
        database: Database,
        channel: ControlChannel,
        metrics: Metrics,
        tell: BatchTelling,
        reached: Reached = nothing,
    ) -> None:
        self._database = database
        self._channel = channel
        self._metrics = metrics
        self._tell = tell
        self._reached = reached

    async def __call__(self, batch_id: UUID) -> bool:
        """Close it if it can be, and tell whether this did it; DatabaseUnavailableError."""
        read = await self._read(batch_id)
        if read.batch.status not in LIVE_BATCH:
            return False
        if read.batch.stopping is not None:
            await self._cancel_rest(read)
            read = await self._read(batch_id)
        if read.ended_items < read.batch.total_items:
            return False
        self._reached(Checkpoint.CLOSING)
        async with self._database.transaction() as tx:
            percentiles = await tx.batch_items.percentiles(batch_id)
        async with self._database.transaction() as tx:
            is_closed = await tx.batches.close(batch_id, percentiles)
            if is_closed:
                await self._tell(tx, await tx.batches.get(batch_id))
        if is_closed:
            self._reached(Checkpoint.CLOSED)
            logger.info("batch %s ended with %d items", batch_id, read.ended_items)
            self._channel.tell(Kind.ENDED, [batch_id])
        return is_closed

    async def _cancel_rest(self, read: BatchReading) -> None:
        """End in slices what was not handed out, so that no transaction takes long."""
        was_cancelled = read.batch.stopping == BatchStatus.CANCELLED
        error = (CANCELLED if was_cancelled else NEVER_RAN).as_document()
        while (cancelled := await self._cancel_slice(read.id, error)) is not None:
            if cancelled.program_name and cancelled.adapter_type:
                self._metrics.items_ended_unrun(
                    cancelled.program_name,
                    cancelled.adapter_type,
                    Outcome.CANCELLED,
                    cancelled.items,
                )

    async def _cancel_slice(
        self, batch_id: UUID, error: Mapping[str, Any]
    ) -> CancelledSlice | None:
        async with self._database.transaction() as tx:
            return await tx.batch_items.cancel_slice(batch_id, error)

    async def _read(self, batch_id: UUID) -> BatchReading:
        async with self._database.transaction() as tx:
            return await tx.batches.get(batch_id)
