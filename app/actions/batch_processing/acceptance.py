"""Accept a batch: validate every item, store them all, and the batch last: whole or not at all."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.actions.batch_processing.options import BatchOptions
from app.actions.batch_processing.validation import Incoming, ItemValidation, OnInvalid
from app.actions.program_catalogue import ProgramCatalogue, RunnableProgram
from app.adapters.guarded import GuardedAdapter
from app.adapters.registry import AdapterRegistry
from app.checkpoints import Checkpoint, Reached, nothing
from app.database import Database, Transaction
from app.errors import DatabaseUnavailableError
from app.models.idempotency_keys import Claim
from app.models.ids import Ids
from app.models.states import Outcome
from app.policies.clock import Clock
from app.policies.shield import Shield
from app.signatures.compile import CompiledSignature
from app.stores.batch_items import SLICE, NewItem
from app.stores.batches import BatchReading
from app.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

AT_ONCE = 200
"""As many items are validated before others have their turn."""


@dataclass(frozen=True)
class BatchAcceptanceInput:
    """A batch that a client asks for; `metadata` is the client's alone.

    Faults are told under `under`, a JSON Pointer; `retry_of` names the batch whose rest it is.
    """

    program_id: UUID
    items: Sequence[Incoming]
    options: BatchOptions = field(default_factory=BatchOptions)
    on_invalid: OnInvalid = OnInvalid.REJECT
    metadata: Mapping[str, Any] = field(default_factory=dict)
    request_id: str | None = None
    claim: Claim | None = None
    retry_of: UUID | None = None
    under: str = "/batch_inputs"


@dataclass(frozen=True)
class AcceptanceTools:
    """What acceptance takes from outside; `owner_id` names this process."""

    ids: Ids
    clock: Clock
    shield: Shield
    metrics: Metrics
    owner_id: Callable[[], UUID]
    reached: Reached = nothing


class BatchAcceptance:
    """Takes batches in, whole or not at all."""

    def __init__(
        self,
        database: Database,
        catalogue: ProgramCatalogue,
        adapters: AdapterRegistry,
        tools: AcceptanceTools,
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._adapters = adapters
        self._tools = tools

    async def __call__(self, asked: BatchAcceptanceInput) -> BatchReading:
        """Give the batch, whose items wait to be run on the revision that the program has now.

        Refuses what an execution would: raises ProgramNotFoundError, ProgramNotReadyError,
        InvalidInputsError and KeyChangedError.
        """
        runnable = await self._catalogue.recall(asked.program_id)
        adapter = runnable.ready_adapter(self._adapters)
        items = await self._validated(runnable.compiled, asked)
        batch_id = self._tools.ids.new()
        await self._database.make_partitions([batch_id])
        common = _common(batch_id, runnable, adapter, asked)
        try:
            await self._add_slices(common, items)
            async with self._database.transaction() as tx:
                read = await self._add_batch(tx, common, items, asked)
        except BaseException:
            if len(items) > SLICE:
                await self._tools.shield.uninterrupted(self._discard(batch_id, len(items)))
            raise
        self._tools.reached(Checkpoint.BATCH_ACCEPTED)
        if read.batch.invalid_items:
            self._tools.metrics.items_ended_unrun(
                runnable.program.name,
                adapter.kind,
                Outcome.VALIDATION_ERROR,
                read.batch.invalid_items,
            )
        return read

    async def _validated(
        self, compiled: CompiledSignature, asked: BatchAcceptanceInput
    ) -> Sequence[NewItem]:
        """Validate every item, giving way to others now and then."""
        validate, items = ItemValidation(compiled, asked.under), list[NewItem]()
        for incoming in asked.items:
            items.append(validate(incoming))
            if len(items) % AT_ONCE == 0:
                await self._tools.clock.sleep(0)
        if asked.on_invalid is OnInvalid.REJECT:
            validate.refuse()
        return items

    async def _add_slices(self, common: Mapping[str, Any], items: Sequence[NewItem]) -> None:
        """Store all but the last slice, each in a transaction of its own."""
        batch_id: UUID = common["batch_id"]
        for start in _starts(items)[:-1]:
            async with self._database.transaction() as tx:
                if start == 0:
                    await tx.batches.add_upload(batch_id, self._tools.owner_id())
                await tx.batch_items.add(common, start, items[start : start + SLICE])
            self._tools.reached(Checkpoint.BATCH_ACCEPTING)

    async def _add_batch(
        self,
        tx: Transaction,
        common: Mapping[str, Any],
        items: Sequence[NewItem],
        asked: BatchAcceptanceInput,
    ) -> BatchReading:
        """Store the last slice, and the batch with its lanes: from now on it is there."""
        batch_id: UUID = common["batch_id"]
        await tx.idempotency_keys.claim(asked.claim, batch_id)
        start = _starts(items)[-1]
        if items:
            await tx.batch_items.add(common, start, items[start:])
        if start:
            await tx.batches.end_upload(batch_id)
        invalid = sum(item.error is not None for item in items)
        batch = {
            "id": batch_id,
            "program_id": common["program_id"],
            "program_revision": common["program_revision"],
            "retry_of": asked.retry_of,
            "batch_options": asked.options.as_document(),
            "total_items": len(items),
            "invalid_items": invalid,
            "ended_ahead": invalid,
            "metadata_": asked.metadata,
            "request_id": asked.request_id,
        }
        await tx.batches.add(batch, asked.options.shares(len(items)))
        return await tx.batches.get(batch_id)

    async def _discard(self, batch_id: UUID, count: int) -> None:
        """Remove what was stored of a batch that has not come about."""
        try:
            for start in range(0, count, SLICE):
                async with self._database.transaction() as tx:
                    await tx.batch_items.delete(batch_id, start, SLICE)
            async with self._database.transaction() as tx:
                await tx.batches.end_upload(batch_id)
        except DatabaseUnavailableError:
            logger.warning("what came in of batch %s is left behind", batch_id)


def _starts(items: Sequence[NewItem]) -> Sequence[int]:
    """Give the place of the first item of each slice; there is one even without items."""
    return range(0, max(len(items), 1), SLICE)


def _common(
    batch_id: UUID, runnable: RunnableProgram, adapter: GuardedAdapter, asked: BatchAcceptanceInput
) -> dict[str, Any]:
    program, signature = runnable.program, runnable.signature
    return {
        "batch_id": batch_id,
        "program_id": program.id,
        "program_name": program.name,
        "program_revision": runnable.at.revision,
        "signature_id": signature.id,
        "signature_name": signature.name,
        "signature_version": signature.version,
        "adapter_type": adapter.kind,
        "execution_options": asked.options.for_items().as_document(),
        "metadata": asked.metadata,
        "request_id": asked.request_id,
    }
