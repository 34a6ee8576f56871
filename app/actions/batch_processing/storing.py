"""Store a batch: all its items in slices, and the batch with the last: whole or not at all."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.actions.batch_processing.asking import BatchAcceptanceInput
from app.actions.batch_processing.intake import Intake
from app.actions.batch_processing.spool import Spool, rows_of
from app.actions.batch_processing.telling import BatchTelling
from app.actions.program_catalogue import ProgramCatalogue, RunnableProgram
from app.adapters.guarded import GuardedAdapter
from app.adapters.registry import AdapterRegistry
from app.checkpoints import Checkpoint, Reached, nothing
from app.database import Database
from app.errors import DatabaseUnavailableError
from app.models.ids import Ids
from app.models.states import Outcome
from app.policies.clock import Clock
from app.policies.shield import Shield
from app.stores.availability import RETRY_AFTER_S
from app.stores.batches import BatchReading
from app.stores.transaction import Transaction
from app.telemetry.metrics import Metrics


@dataclass(frozen=True)
class AcceptanceTools:
    """What acceptance takes from outside.

    `owner_id` names this process; `abandon` removes what came in of a batch that fails.
    """

    ids: Ids
    clock: Clock
    shield: Shield
    metrics: Metrics
    owner_id: Callable[[], UUID]
    abandon: Callable[[UUID, UUID], Coroutine[Any, Any, None]]
    tell: BatchTelling
    reached: Reached = nothing


class BatchStoring:
    """Makes batches of what was taken in."""

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

    async def __call__(self, asked: BatchAcceptanceInput, intake: Intake) -> BatchReading:
        """Give the batch, whose items wait to be run on the revision that the program has now.

        Refuses what an execution would: raises ProgramNotFoundError, ProgramNotReadyError,
        InvalidInputsError and KeyChangedError.
        """
        runnable = await self._catalogue.recall(asked.program_id)
        adapter = runnable.ready_adapter(self._adapters)
        if intake.refusal is not None:
            raise intake.refusal
        batch_id = self._tools.ids.new()
        await self._database.make_partitions([batch_id])
        common = _common(batch_id, runnable, adapter, asked)
        read = await self._store(common, asked, intake.spool)
        self._tools.reached(Checkpoint.BATCH_ACCEPTED)
        if read.batch.invalid_items:
            self._tools.metrics.items_ended_unrun(
                runnable.program.name,
                adapter.kind,
                Outcome.VALIDATION_ERROR,
                read.batch.invalid_items,
            )
        return read

    async def _store(
        self, common: Mapping[str, Any], asked: BatchAcceptanceInput, spool: Spool
    ) -> BatchReading:
        """Store the slices, each in a transaction of its own, and the batch with the last."""
        upload, slices = _Upload(common, self._tools.owner_id()), spool.slices()
        items = next(slices)
        try:
            while upload.stored + len(items) < spool.count:
                async with self._database.transaction() as tx:
                    await upload.go_on(tx, items)
                self._tools.reached(Checkpoint.BATCH_ACCEPTING)
                items = next(slices)
            async with self._database.transaction() as tx:
                await tx.idempotency_keys.claim(asked.claim, upload.batch_id)
                await upload.end(tx, items)
                read = await _add_batch(tx, common, asked, spool)
                if read.batch.finished_at is not None:
                    await self._tools.tell(tx, read)
                return read
        except BaseException:
            if upload.stored:
                abandoning = self._tools.abandon(upload.batch_id, upload.owner_id)
                await self._tools.shield.uninterrupted(abandoning)
            raise


class _Upload:
    """The items of a batch that is not there yet: an owner's, until he is given up."""

    def __init__(self, common: Mapping[str, Any], owner_id: UUID) -> None:
        self.batch_id: UUID = common["batch_id"]
        self.owner_id = owner_id
        self.stored = 0
        self._common = common

    async def go_on(self, tx: Transaction, items: Sequence[bytes]) -> None:
        """Add a slice that is not the last."""
        if self.stored:
            await self._hold(tx)
        else:
            await tx.batch_uploads.add(self.batch_id, self.owner_id)
        await tx.batch_items.add(self._common, self.stored, rows_of(items))
        self.stored += len(items)

    async def end(self, tx: Transaction, items: Sequence[bytes]) -> None:
        """Add the last slice, and forget what the others were known by."""
        if self.stored:
            await self._hold(tx)
            await tx.batch_uploads.end(self.batch_id)
        await tx.batch_items.add(self._common, self.stored, rows_of(items))

    async def _hold(self, tx: Transaction) -> None:
        if not await tx.batch_uploads.hold(self.batch_id, self.owner_id):
            raise DatabaseUnavailableError(
                "The database has not heard of this process for too long.",
                retry_after_s=RETRY_AFTER_S,
            )


async def _add_batch(
    tx: Transaction, common: Mapping[str, Any], asked: BatchAcceptanceInput, spool: Spool
) -> BatchReading:
    """Add the batch with its lanes: from now on it is there."""
    batch = {
        "id": common["batch_id"],
        "program_id": common["program_id"],
        "program_revision": common["program_revision"],
        "retry_of": asked.retry_of,
        "batch_options": asked.options.as_document(),
        "total_items": spool.count,
        "invalid_items": spool.invalid,
        "ended_ahead": spool.invalid,
        "metadata_": asked.metadata,
        "request_id": asked.request_id,
    }
    await tx.batches.add(batch, asked.options.shares(spool.count))
    return await tx.batches.get(common["batch_id"])


def _common(
    batch_id: UUID, runnable: RunnableProgram, adapter: GuardedAdapter, asked: BatchAcceptanceInput
) -> dict[str, Any]:
    return {
        "batch_id": batch_id,
        **runnable.columns(adapter),
        "execution_options": asked.options.for_items().as_document(),
        "metadata": asked.metadata,
        "request_id": asked.request_id,
    }
