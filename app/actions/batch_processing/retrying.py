"""Run the rest of an ended batch again: what failed and what never ran, as a new batch."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

from app.actions.batch_processing.asking import BatchAcceptanceInput
from app.actions.batch_processing.intake import BatchIntake
from app.actions.batch_processing.options import BatchOptions
from app.actions.batch_processing.storing import BatchStoring
from app.actions.batch_processing.validation import Incoming, OnInvalid
from app.database import Database
from app.errors import InvalidTransitionError, NothingToRetryError
from app.models.executions import PAYLOAD_EXPIRED
from app.models.idempotency_keys import Claim
from app.stores.batch_items import SLICE
from app.stores.batches import BatchReading


@dataclass(frozen=True)
class BatchRetryingInput:
    """Whose rest is to run; `options` are those that shall be others than before."""

    batch_id: UUID
    options: Mapping[str, Any] = field(default_factory=dict)
    request_id: str | None = None
    claim: Claim | None = None


class BatchRetrying:
    """Makes a batch out of another's rest, whose items keep their index and name."""

    def __init__(self, database: Database, take_in: BatchIntake, store: BatchStoring) -> None:
        self._database = database
        self._take_in = take_in
        self._store = store

    async def __call__(self, asked: BatchRetryingInput) -> BatchReading:
        """Give the new batch; the old one does not change.

        Raises BatchNotFoundError, InvalidTransitionError where it has not ended,
        NothingToRetryError, and what acceptance raises; inputs that do not fit fail as before.
        """
        async with self._database.transaction() as tx:
            batch = (await tx.batches.get(asked.batch_id)).batch
        if batch.finished_at is None:
            raise InvalidTransitionError(f"The batch is {batch.status}: it has not ended.")
        wanted = BatchAcceptanceInput(
            program_id=batch.program_id,
            items=partial(self._rest, asked.batch_id),
            options=BatchOptions(**{**batch.batch_options, **asked.options}),
            on_invalid=OnInvalid.RECORD,
            metadata=batch.metadata_,
            request_id=asked.request_id,
            claim=asked.claim,
            retry_of=asked.batch_id,
        )
        async with self._take_in(wanted) as intake:
            if not intake.spool.count:
                raise NothingToRetryError("Every item of the batch is completed.")
            return await self._store(wanted, intake)

    async def _rest(self, batch_id: UUID) -> AsyncIterator[Incoming]:
        after = None
        while True:
            async with self._database.transaction() as tx:
                found = await tx.batch_items.list_unfinished(batch_id, after, SLICE)
            if any(one.details == PAYLOAD_EXPIRED for one in found):
                raise NothingToRetryError("What its items were asked is not kept any more.")
            for one in found:
                yield Incoming(one.item_index or 0, one.custom_id, one.inputs, at="")
            if len(found) < SLICE:
                return
            after = found[-1].id
