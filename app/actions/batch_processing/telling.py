"""Have a batch's receiver told of its progress, at most once a second, and of its end."""

import asyncio
from contextlib import suppress
from uuid import UUID

from app.actions.batch_processing.events import event_of
from app.actions.json_text import json_bytes
from app.database import Database
from app.errors import DatabaseUnavailableError
from app.models.ids import Ids
from app.policies.clock import Clock
from app.stores.batches import TOLD_EVERY_S, BatchReading
from app.stores.transaction import Transaction


class BatchTelling:
    """Puts the events of batches that have a receiver on their way, in the caller's transaction."""

    def __init__(self, database: Database, ids: Ids) -> None:
        self._database = database
        self._ids = ids

    async def progress(self, batch_id: UUID) -> None:
        """Tell how far a batch has come, unless that was told a moment ago, or waits to be.

        DatabaseUnavailableError.
        """
        async with self._database.transaction() as tx:
            if await tx.batches.is_to_tell(batch_id):
                await self(tx, await tx.batches.get(batch_id))

    async def __call__(self, tx: Transaction, read: BatchReading) -> None:
        """Tell of a batch as it was read in this transaction, if it has a receiver."""
        if not has_receiver(read):
            return
        event = event_of(read)
        body = {
            "type": event.type,
            "timestamp": event.timestamp,
            "sequence": event.sequence,
            "data": event.data,
        }
        values = {
            "id": self._ids.new(),
            "batch_id": event.batch_id,
            "sequence": event.sequence,
            "type": event.type,
            "address": read.batch.batch_options["progress_callback"],
            "body": json_bytes(body).decode(),
        }
        await tx.webhook_deliveries.add(values)


def has_receiver(read: BatchReading) -> bool:
    """Tell whether somebody wants to be called."""
    return read.batch.batch_options.get("progress_callback") is not None


class ProgressTelling:
    """Tells of a batch's progress beside whoever works on it, and never holds him up."""

    def __init__(self, tell: BatchTelling, read: BatchReading, clock: Clock) -> None:
        self._tell = tell
        self._read = read
        self._clock = clock
        self._news = asyncio.Event()

    def note(self) -> None:
        """Say that items have ended."""
        self._news.set()

    async def __call__(self) -> None:
        """Tell for ever; without a receiver there is nothing to tell."""
        while has_receiver(self._read):
            await self._news.wait()
            self._news.clear()
            with suppress(DatabaseUnavailableError):  # what comes next tells more
                await self._tell.progress(self._read.id)
            await self._clock.sleep(TOLD_EVERY_S)
