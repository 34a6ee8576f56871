"""Batches: accepted whole, run by lanes over all processes, closed when every item has ended."""

from dataclasses import dataclass

from app.actions.batch_processing.acceptance import BatchAcceptance
from app.actions.batch_processing.cancellation import BatchCancellation
from app.actions.batch_processing.intake import BatchIntake
from app.actions.batch_processing.listening import BatchListening
from app.actions.batch_processing.pausing import BatchMoving
from app.actions.batch_processing.reporting import BatchReporting
from app.actions.batch_processing.results import BatchResulting, BatchResultStreaming
from app.actions.batch_processing.retrying import BatchRetrying
from app.actions.batch_processing.storing import AcceptanceTools, BatchStoring
from app.actions.batch_processing.waiting import BatchWaiting
from app.actions.execution_waiting import ExecutionEnds
from app.actions.program_catalogue import ProgramCatalogue
from app.adapters.registry import AdapterRegistry
from app.database import Database
from app.stores.batches import BatchStore


@dataclass(frozen=True)
class Batches:
    """What clients may ask for of batches."""

    accept: BatchAcceptance
    take_in: BatchIntake
    store: BatchStoring
    wait: BatchWaiting
    listen: BatchListening
    report: BatchReporting
    list_results: BatchResulting
    stream_results: BatchResultStreaming
    pause: BatchMoving
    resume: BatchMoving
    cancel: BatchCancellation
    retry: BatchRetrying

    @classmethod
    def on(
        cls,
        database: Database,
        reserved: Database,
        ends: ExecutionEnds,
        catalogue: ProgramCatalogue,
        adapters: AdapterRegistry,
        tools: AcceptanceTools,
    ) -> "Batches":
        """Build all of it; what must work at full load too has the reserved connections."""
        take_in = BatchIntake(catalogue, adapters, tools.clock)
        store = BatchStoring(database, catalogue, adapters, tools)
        return cls(
            accept=BatchAcceptance(take_in, store),
            take_in=take_in,
            store=store,
            wait=BatchWaiting(database, ends, tools.clock),
            listen=BatchListening(database, tools.clock),
            report=BatchReporting(database),
            list_results=BatchResulting(database),
            stream_results=BatchResultStreaming(database),
            pause=BatchMoving(reserved, BatchStore.pause),
            resume=BatchMoving(reserved, BatchStore.resume),
            cancel=BatchCancellation(reserved),
            retry=BatchRetrying(database, take_in, store),
        )
