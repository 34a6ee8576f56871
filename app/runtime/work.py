"""What this process does of the work that waits, and how what it does is recorded."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial

from app.actions.background_execution import BackgroundExecution
from app.actions.batch_processing.closing import BatchClosing
from app.actions.batch_processing.lane import LaneTools
from app.actions.batch_processing.telling import BatchTelling
from app.actions.program_catalogue import ProgramCatalogue
from app.actions.program_execution.records import ExecutionRecords, RecordRules
from app.actions.program_execution.runs import Runs
from app.actions.resource_cleanup import ResourceCleanup
from app.actions.resource_cleanup.category import Tools as CleanupTools
from app.database import Database
from app.jobs import cleaning
from app.jobs.cleaning import ScheduledCleanup
from app.jobs.dispatcher import Dispatcher
from app.jobs.engine import CONNECTIONS_PER_QUEUE, Engines
from app.jobs.lane_dispatcher import LaneDispatcher
from app.jobs.worker import Worker, new_worker
from app.models import webhook_deliveries
from app.policies.solitude import Solitude
from app.processes.channel import Kind
from app.runtime.base import RESERVED, Base, narrowed
from app.settings import Settings
from app.stores.recorder import WRITERS, Recorder

RECORDER_GRACE_S = 3.0
"""How long a closing process goes on writing records while the database is away."""

FOR_LANES = 6
"""Connections by which lanes hand out and record items, beside those of requests."""

QUEUES = (Dispatcher.queue, LaneDispatcher.queue, webhook_deliveries.QUEUE, cleaning.QUEUE)


def connections_of(settings: Settings) -> Mapping[str, int]:
    """Count the connections that one process opens to the database at most, by their purpose."""
    return {
        "requests": settings.database.pool_size,
        "reserved": RESERVED,
        "lanes": FOR_LANES,
        "records": WRITERS,
        "heartbeat": 1,
        "control_channel": 1,
        "jobs": len(QUEUES) * CONNECTIONS_PER_QUEUE if settings.worker.embedded else 0,
    }


async def open_records(stack: AsyncExitStack, base: Base) -> ExecutionRecords:
    """Write records from now on, until the stack closes."""
    recorder = Recorder(
        base.database.open_connection,
        base.database.make_partitions,
        base.clock,
        partial(base.channel.tell, Kind.ENDED),
    )
    stack.push_async_callback(base.shield.drained)  # after the recorder, whose end frees what waits
    stack.push_async_callback(recorder.close, RECORDER_GRACE_S)
    rules = RecordRules(
        patience_s=base.settings.database.pool_timeout_ms / 1_000,
        keeps_traces=base.settings.telemetry.content,
    )
    return ExecutionRecords(base.database, recorder, base.ids, base.shield, base.metrics, rules)


def open_worker(
    stack: AsyncExitStack,
    base: Base,
    engines: Engines,
    catalogue: ProgramCatalogue,
    runs: Runs,
    records: ExecutionRecords,
) -> Worker:
    """Take a part of what waits from now on, until the stack closes or the process drains."""
    run = BackgroundExecution(catalogue, base.adapters, records, runs, base.clock, base.random)
    dispatcher = Dispatcher(base.reserved, runs, run, base.clock, base.settings.worker.concurrency)
    lanes = _open_lanes(stack, base, catalogue, runs)
    worker = new_worker(engines, [dispatcher, lanes], works=base.settings.worker.embedded)
    stack.push_async_callback(worker.close)
    worker.start()
    base.background.start("take no more jobs", partial(worker.stop_with, base.drain))
    return worker


def _open_lanes(
    stack: AsyncExitStack,
    base: Base,
    catalogue: ProgramCatalogue,
    runs: Runs,
) -> LaneDispatcher:
    database = Database.connect(narrowed(base.settings.database, FOR_LANES))
    stack.push_async_callback(database.close)
    tell = BatchTelling(database, base.ids)
    tools = LaneTools(
        database=database,
        catalogue=catalogue,
        adapters=base.adapters,
        runs=runs,
        solitude=Solitude(),
        close=BatchClosing(database, base.channel, base.metrics, tell, base.reached),
        tell=tell,
        metrics=base.metrics,
        clock=base.clock,
        random=base.random,
        keeps_traces=base.settings.telemetry.content,
    )
    return LaneDispatcher(tools, base.settings.worker.lanes)


def open_cleanup(stack: AsyncExitStack, base: Base, engines: Engines) -> ResourceCleanup:
    """Clean up when asked, and on schedule where this process works."""
    database, channel = base.database, base.channel
    close = BatchClosing(database, channel, base.metrics, BatchTelling(database, base.ids))
    tools = CleanupTools(
        database, channel, close, base.adapters, base.ids, base.clock, base.settings
    )
    clean_up = ResourceCleanup(tools)
    if base.settings.worker.embedded:
        engines.run(ScheduledCleanup(clean_up).queue, stack)
    return clean_up
