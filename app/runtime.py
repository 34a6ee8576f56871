"""The composition root: the graph of objects, built once, in order, and closed in reverse."""

import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from random import Random

from app.actions.background_execution import BackgroundExecution
from app.actions.batch_processing import Batches
from app.actions.batch_processing.closing import BatchClosing
from app.actions.batch_processing.lane import LaneTools
from app.actions.batch_processing.storing import AcceptanceTools
from app.actions.batch_processing.telling import BatchTelling
from app.actions.callback_check import CallbackCheck
from app.actions.execution_acceptance import ExecutionAcceptance
from app.actions.execution_cancellation import ExecutionCancellation
from app.actions.execution_replaying import ExecutionReplaying
from app.actions.execution_waiting import ExecutionEnds, ExecutionWaiting
from app.actions.health_monitoring import HealthMonitoring
from app.actions.health_monitoring.check import Tools as HealthTools
from app.actions.held_programs import HeldPrograms
from app.actions.idempotency import Idempotency
from app.actions.keyring import Keyring
from app.actions.program_archiving import ProgramArchiving
from app.actions.program_catalogue import ProgramCatalogue
from app.actions.program_change import ProgramChange
from app.actions.program_execution import ProgramExecution
from app.actions.program_execution.records import ExecutionRecords, RecordRules
from app.actions.program_execution.runs import EndedElsewhere, Runs
from app.actions.program_initialization import ProgramInitialization
from app.actions.program_preparation import ProgramPreparation
from app.actions.program_registration import ProgramRegistration
from app.actions.program_replaying import ProgramReplaying
from app.actions.program_restoration import ProgramRestoration
from app.actions.program_state_reading import ProgramStateReading
from app.actions.program_state_upload import ProgramStateUpload
from app.actions.program_states import ProgramStates
from app.actions.readiness import Readiness
from app.actions.resource_cleanup import ResourceCleanup
from app.actions.resource_cleanup.category import Tools as CleanupTools
from app.actions.signature_check import SignatureCheck
from app.actions.signature_registration import SignatureRegistration
from app.actions.signature_transition import SignatureTransition
from app.actions.signature_validation import SignatureValidation
from app.actions.signature_validation.step import Tools
from app.adapters.lm_limits import LMLimiters
from app.adapters.registry import AdapterRegistry
from app.adapters.setup import AdapterSetup
from app.adapters.signature_modules import SignatureModules
from app.background import Background, Work, repeatedly
from app.checkpoints import Reached, crash_at
from app.database import Database
from app.jobs import cleaning
from app.jobs.cleaning import ScheduledCleanup
from app.jobs.deliveries import DeliveryTools, open_callbacks
from app.jobs.dispatcher import Dispatcher
from app.jobs.engine import CONNECTIONS_PER_QUEUE, Engine
from app.jobs.lane_dispatcher import LaneDispatcher
from app.jobs.sweep import JobSweep
from app.jobs.waiting import Waiting
from app.jobs.worker import LAST_WORD_S, Worker, new_worker
from app.models import webhook_deliveries
from app.models.ids import Ids
from app.policies.clock import Clock, SystemClock
from app.policies.drain import Drain
from app.policies.shield import Shield
from app.policies.solitude import Solitude
from app.processes.channel import ControlChannel, Kind
from app.processes.heartbeat import Heartbeat
from app.processes.limit_division import LimitDivision
from app.processes.sweep import Sweep
from app.processes.uploads import AbandonedUploads
from app.processes.vitals import Vitals
from app.settings import DatabaseSettings, Settings
from app.stores.recorder import WRITERS, Recorder
from app.telemetry.metrics import Metrics

VERSION = "0.1.0"
PARTITIONS_EVERY_S = 3_600.0
FOLD_COUNTS_EVERY_S = 5.0
COUNT_WAITING_EVERY_S = 5.0
USES_EVERY_S = 30.0
RUNS_GRACE_S = 2.0
"""How long a closing process waits for the records of what it cancels to end."""
RECORDER_GRACE_S = 3.0
"""How long a closing process goes on writing records while the database is away."""

RESERVED = 4
"""Connections for what works where the pool is exhausted: keys, cancel, readiness, sweeps, jobs."""

FOR_LANES = 6
"""Connections by which lanes hand out and record items, beside those of requests."""

QUEUES = (Dispatcher.queue, LaneDispatcher.queue, webhook_deliveries.QUEUE, cleaning.QUEUE)

ENDED_ELSEWHERE_EVERY_S = 1.0
DIVIDE_LIMITS_EVERY_S = 5.0
OBSERVE_COST_EVERY_S = 5.0

WARM_UP = "warm up the adapters"


@dataclass(frozen=True)
class Runtime:
    """Everything that a route may ask for."""

    settings: Settings
    database: Database
    adapters: AdapterRegistry
    lm_limiters: LMLimiters
    background: Background
    drain: Drain
    worker: Worker
    metrics: Metrics
    clock_offset_s: float
    keyring: Keyring
    register_signature: SignatureRegistration
    validate_signature: SignatureValidation
    move_signature: SignatureTransition
    check_values: SignatureCheck
    register_program: ProgramRegistration
    initialize_program: ProgramInitialization
    change_program: ProgramChange
    restore_program: ProgramRestoration
    archive_program: ProgramArchiving
    read_state: ProgramStateReading
    upload_state: ProgramStateUpload
    execute_program: ProgramExecution
    accept_execution: ExecutionAcceptance
    cancel_execution: ExecutionCancellation
    wait_for_execution: ExecutionWaiting
    idempotency: Idempotency
    replay_program: ProgramReplaying
    replay_execution: ExecutionReplaying
    batches: Batches
    check_callback: CallbackCheck
    list_held_programs: HeldPrograms
    clean_up: ResourceCleanup
    is_ready: Readiness
    monitor_health: HealthMonitoring


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


@asynccontextmanager
async def open_runtime(
    settings: Settings,
    *,
    kind: str = "serve",
    clock: Clock | None = None,
    random: Random | None = None,
    environment: Mapping[str, str] = os.environ,
) -> AsyncIterator[Runtime]:
    """Build the graph on a database whose schema is at head, and close it again.

    `kind` is what the other processes are told of this one. Raises SettingsError, SchemaError and
    DatabaseUnavailableError.
    """
    clock, random = clock or SystemClock(), random or Random()  # noqa: S311 - jitter, not secrets
    async with AsyncExitStack() as stack:
        base = await _open_base(stack, settings, environment, clock, random)
        database, adapters, ids = base.database, base.adapters, base.ids
        catalogue, ends, shield = ProgramCatalogue(database, clock), ExecutionEnds(clock), Shield()
        runs, abandoned = await _enter(stack, base, settings, kind)
        records = await _open_records(stack, base, settings, shield)
        stack.push_async_callback(runs.close, RUNS_GRACE_S)
        _subscribe(base.channel, catalogue, ends, runs)
        worker = _open_worker(stack, base, settings, catalogue, runs, records)
        modules = SignatureModules(settings.imports.packages, environment)
        preparation, states = ProgramPreparation(adapters), ProgramStates(adapters)
        initialize_program = ProgramInitialization(database, catalogue, preparation, shield)
        register_program = ProgramRegistration(database, ids, adapters, states, initialize_program)
        change_program = ProgramChange(database, catalogue, adapters, preparation)
        wait_for_execution = ExecutionWaiting(database, ends, clock)
        yield Runtime(
            settings=settings,
            database=database,
            adapters=adapters,
            lm_limiters=base.limiters,
            background=base.background,
            drain=base.drain,
            worker=worker,
            metrics=base.metrics,
            clock_offset_s=base.clock_offset_s,
            keyring=_open_keyring(stack, base, settings.database.pool_timeout_ms / 1_000),
            register_signature=SignatureRegistration(database, ids, modules),
            validate_signature=SignatureValidation(Tools(modules, adapters, clock)),
            move_signature=SignatureTransition(database),
            check_values=SignatureCheck(database),
            register_program=register_program,
            initialize_program=initialize_program,
            change_program=change_program,
            restore_program=ProgramRestoration(database, change_program),
            archive_program=ProgramArchiving(database, adapters),
            read_state=ProgramStateReading(database, catalogue, states),
            upload_state=ProgramStateUpload(database, catalogue, states, change_program),
            execute_program=ProgramExecution(catalogue, adapters, records, runs, clock, random),
            accept_execution=ExecutionAcceptance(catalogue, adapters, records, base.reached),
            cancel_execution=ExecutionCancellation(base.reserved, base.channel, base.reached),
            wait_for_execution=wait_for_execution,
            idempotency=Idempotency(database),
            replay_program=ProgramReplaying(database, clock),
            replay_execution=ExecutionReplaying(database, wait_for_execution),
            batches=_batches(base, catalogue, ends, shield, runs, abandoned),
            check_callback=_open_callbacks(stack, base, settings, runs, environment),
            list_held_programs=HeldPrograms(),
            clean_up=_cleanup(stack, base, settings, runs),
            is_ready=Readiness(base.reserved, clock),
            monitor_health=_health(base, settings, runs),
        )


@dataclass(frozen=True)
class _Base:
    """What everything else stands on."""

    database: Database
    reserved: Database
    adapters: AdapterRegistry
    limiters: LMLimiters
    background: Background
    channel: ControlChannel
    clock_offset_s: float
    ids: Ids
    reached: Reached
    clock: Clock
    random: Random
    metrics: Metrics
    drain: Drain
    vitals: Vitals


async def _open_base(
    stack: AsyncExitStack,
    settings: Settings,
    environment: Mapping[str, str],
    clock: Clock,
    random: Random,
) -> _Base:
    metrics = Metrics()
    limiters = LMLimiters(settings.lms, clock)
    shared = AdapterSetup(
        "",
        lms=settings.lms,
        environment=environment,
        clock=clock,
        metrics=metrics,
        limiters=limiters,
    )
    adapters = AdapterRegistry.from_settings(settings.adapters, shared)
    stack.push_async_callback(adapters.cleanup)
    metrics.watch_breakers(adapters.breaker_levels)
    channel = ControlChannel(clock, random)
    database = Database.connect(settings.database, partial(channel.tell, Kind.PROGRAMS))
    stack.push_async_callback(database.close)
    await database.require_head()
    await database.make_weeks_ahead()
    reserved = Database.connect(_narrowed(settings.database, RESERVED))
    stack.push_async_callback(reserved.close)
    background = Background(clock, random)
    stack.push_async_callback(background.close)
    clock_offset_s = await database.clock_offset_s(clock)
    return _Base(
        database=database,
        reserved=reserved,
        adapters=adapters,
        limiters=limiters,
        background=background,
        channel=channel,
        clock_offset_s=clock_offset_s,
        ids=Ids(clock, clock_offset_s),
        reached=crash_at(settings.crash_at),
        clock=clock,
        random=random,
        metrics=metrics,
        drain=Drain(),
        vitals=Vitals(clock),
    )


async def _enter(
    stack: AsyncExitStack, base: _Base, settings: Settings, kind: str
) -> tuple[Runs, AbandonedUploads]:
    """Enter this process among the others, and do its part for them."""
    own_connection = partial(Database.connect, _narrowed(settings.database, 1))
    about = {"kind": kind, "host": socket.gethostname(), "pid": os.getpid(), "version": VERSION}
    heartbeat = Heartbeat(own_connection, about, base.ids, settings.processes, base.clock)
    runs = Runs(heartbeat.owner_id, base.reached)
    await heartbeat.open(base.reserved, runs.give_up)
    stack.push_async_callback(heartbeat.close)
    _start_tasks(base)
    sweep = Sweep(base.reserved, heartbeat, base.channel, settings.processes, base.reached)
    sweep_jobs = JobSweep(base.reserved)
    look = EndedElsewhere(base.reserved, runs)
    abandoned = AbandonedUploads(base.reserved, heartbeat.owner_id)

    async def sweep_all() -> None:
        await sweep()
        await sweep_jobs()
        await abandoned()

    _repeat(base, "sweep", settings.processes.sweep_ms / 1_000, sweep_all)
    waiting = Waiting(base.reserved)
    base.metrics.watch_pending(waiting.counts)
    base.metrics.watch_batches(waiting.batches)
    _repeat(base, "count what waits", COUNT_WAITING_EVERY_S, waiting)
    _repeat(base, "look for ended executions", ENDED_ELSEWHERE_EVERY_S, look)
    divide_limits = LimitDivision(
        base.reserved, heartbeat.owner_id, base.adapters, base.limiters, settings.processes
    )
    await divide_limits()
    _repeat(base, "divide the limits of LMs", DIVIDE_LIMITS_EVERY_S, divide_limits)
    return runs, abandoned


async def _open_records(
    stack: AsyncExitStack, base: _Base, settings: Settings, shield: Shield
) -> ExecutionRecords:
    recorder = Recorder(
        base.database.open_connection,
        base.database.make_partitions,
        base.clock,
        partial(base.channel.tell, Kind.ENDED),
    )
    stack.push_async_callback(shield.drained)  # after the recorder, whose end frees what waits
    stack.push_async_callback(recorder.close, RECORDER_GRACE_S)
    rules = RecordRules(
        patience_s=settings.database.pool_timeout_ms / 1_000,
        keeps_traces=settings.telemetry.content,
    )
    return ExecutionRecords(base.database, recorder, base.ids, shield, base.metrics, rules)


def _open_worker(
    stack: AsyncExitStack,
    base: _Base,
    settings: Settings,
    catalogue: ProgramCatalogue,
    runs: Runs,
    records: ExecutionRecords,
) -> Worker:
    run = BackgroundExecution(catalogue, base.adapters, records, runs, base.clock, base.random)
    dispatcher = Dispatcher(base.reserved, runs, run, base.clock, settings.worker.concurrency)
    lanes = _open_lanes(stack, base, settings, catalogue, runs)
    worker = new_worker(
        base.reserved, settings, runs.owner_id, [dispatcher, lanes], base.clock, base.random
    )
    stack.push_async_callback(worker.close)
    worker.start()
    base.background.start("take no more jobs", partial(worker.stop_with, base.drain))
    return worker


def _open_lanes(
    stack: AsyncExitStack,
    base: _Base,
    settings: Settings,
    catalogue: ProgramCatalogue,
    runs: Runs,
) -> LaneDispatcher:
    database = Database.connect(_narrowed(settings.database, FOR_LANES))
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
        keeps_traces=settings.telemetry.content,
    )
    return LaneDispatcher(tools, settings.worker.lanes)


def _open_callbacks(
    stack: AsyncExitStack, base: _Base, settings: Settings, runs: Runs, variables: Mapping[str, str]
) -> CallbackCheck:
    at = (base.database, base.reserved, runs.owner_id, base.clock, base.random)
    return open_callbacks(stack, DeliveryTools(settings, variables, *at))


def _open_keyring(stack: AsyncExitStack, base: _Base, patience_s: float) -> Keyring:
    keyring = Keyring(base.reserved, base.clock, patience_s)
    stack.push_async_callback(keyring.close)
    _repeat(base, "write uses of keys", USES_EVERY_S, keyring.write_uses)
    return keyring


def _subscribe(
    channel: ControlChannel, catalogue: ProgramCatalogue, ends: ExecutionEnds, runs: Runs
) -> None:
    """Have those hear who need to; missed cancellations are found by `EndedElsewhere`."""
    channel.subscribe(Kind.PROGRAMS, catalogue.forget, catalogue.forget_all)
    channel.subscribe(Kind.ENDED, ends.hear, ends.catch_up)
    channel.subscribe(Kind.CANCEL, runs.call_off, lambda: None)


def _start_tasks(base: _Base) -> None:
    database, background = base.database, base.background

    async def fold_counts() -> None:
        async with database.transaction() as tx:
            await tx.programs.fold_counts()

    async def warm_up() -> None:
        await base.adapters.warm_up()
        background.start("check the adapters", base.adapters.check)

    async def listen() -> None:
        await base.channel.run(database.open_notices)

    lag, processor = base.vitals.loop_lag, base.vitals.processor
    base.metrics.watch(database.pool_counts, lambda: lag.worst_s)
    background.start("measure the event loop's lag", lag.measure)
    background.start("measure the processor's use", processor.measure)
    background.start(WARM_UP, warm_up)
    background.start("control channel", listen)
    _repeat(base, "make partitions", PARTITIONS_EVERY_S, database.make_weeks_ahead)
    _repeat(base, "fold counts", FOLD_COUNTS_EVERY_S, fold_counts)


def _repeat(base: _Base, name: str, seconds: float, work: Work) -> None:
    base.background.start(name, repeatedly(seconds, work, base.clock, base.random))


def _batches(
    base: _Base,
    catalogue: ProgramCatalogue,
    ends: ExecutionEnds,
    shield: Shield,
    runs: Runs,
    abandoned: AbandonedUploads,
) -> Batches:
    tell = BatchTelling(base.database, base.ids)
    tools = AcceptanceTools(
        base.ids, base.clock, shield, base.metrics, runs.owner_id, abandoned.add, tell, base.reached
    )
    batches = Batches.on(base.database, base.reserved, ends, catalogue, base.adapters, tools)
    look_on = partial(batches.listen.look_on, base.drain)
    base.background.start("look at batches that are listened to", look_on)
    return batches


def _health(base: _Base, settings: Settings, runs: Runs) -> HealthMonitoring:
    async def observe_cost() -> None:
        await base.vitals.observe_cost(len(runs.ids()))

    _repeat(base, "observe what executions cost", OBSERVE_COST_EVERY_S, observe_cost)
    tools = HealthTools(
        database=base.reserved,
        adapters=base.adapters,
        lms=settings.lms,
        drain=base.drain,
        clock=base.clock,
        vitals=base.vitals,
        pool=base.database.pool_counts,
        waiting=base.database.pool_waiting,
        tasks=base.background.running,
        running=lambda: len(runs.ids()),
    )
    return HealthMonitoring(tools, base.metrics)


def _cleanup(stack: AsyncExitStack, base: _Base, settings: Settings, runs: Runs) -> ResourceCleanup:
    database, channel = base.database, base.channel
    close = BatchClosing(database, channel, base.metrics, BatchTelling(database, base.ids))
    tools = CleanupTools(database, channel, close, base.adapters, base.ids, base.clock, settings)
    clean_up = ResourceCleanup(tools)
    if settings.worker.embedded:
        at = (base.reserved, runs.owner_id, base.clock, base.random)
        engine = Engine(ScheduledCleanup(clean_up).queue, settings.database, *at)
        stack.push_async_callback(engine.close, LAST_WORD_S)
        engine.start()
    return clean_up


def _narrowed(settings: DatabaseSettings, connections: int) -> DatabaseSettings:
    return settings.model_copy(update={"pool_size": connections})
