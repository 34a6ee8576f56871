"""The composition root: the graph of objects, built once, in order, and closed in reverse."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from random import Random

from app.actions.execution_replaying import ExecutionReplaying
from app.actions.execution_waiting import ExecutionEnds, ExecutionWaiting
from app.actions.idempotency import Idempotency
from app.actions.keyring import Keyring
from app.actions.program_archiving import ProgramArchiving
from app.actions.program_catalogue import ProgramCatalogue
from app.actions.program_change import ProgramChange
from app.actions.program_execution import ProgramExecution
from app.actions.program_execution.records import ExecutionRecords, RecordRules
from app.actions.program_initialization import ProgramInitialization
from app.actions.program_preparation import ProgramPreparation
from app.actions.program_registration import ProgramRegistration
from app.actions.program_replaying import ProgramReplaying
from app.actions.program_restoration import ProgramRestoration
from app.actions.program_state_reading import ProgramStateReading
from app.actions.program_state_upload import ProgramStateUpload
from app.actions.program_states import ProgramStates
from app.actions.signature_check import SignatureCheck
from app.actions.signature_registration import SignatureRegistration
from app.actions.signature_transition import SignatureTransition
from app.adapters.registry import AdapterRegistry
from app.background import Background, every
from app.database import Database
from app.models.ids import Ids
from app.policies.clock import Clock, SystemClock
from app.policies.drain import Drain
from app.policies.loop_lag import LoopLag
from app.policies.shield import Shield
from app.settings import Settings
from app.stores.idempotency_keys import SLICE
from app.stores.recorder import Recorder
from app.telemetry.metrics import Metrics

WEEKS_AHEAD = 4
PARTITIONS_EVERY_S = 3_600.0
FOLD_COUNTS_EVERY_S = 5.0
DROP_KEYS_EVERY_S = 900.0
USES_EVERY_S = 30.0
RUNS_GRACE_S = 2.0
"""How long a closing process waits for the records of what it cancels to end."""
RECORDER_GRACE_S = 3.0
"""How long a closing process goes on writing records while the database is away."""

WARM_UP = "warm up the adapters"


@dataclass(frozen=True)
class Runtime:
    """Everything that a route may ask for."""

    settings: Settings
    database: Database
    adapters: AdapterRegistry
    background: Background
    drain: Drain
    metrics: Metrics
    clock_offset_s: float
    keyring: Keyring
    register_signature: SignatureRegistration
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
    wait_for_execution: ExecutionWaiting
    idempotency: Idempotency
    replay_program: ProgramReplaying
    replay_execution: ExecutionReplaying


@asynccontextmanager
async def open_runtime(
    settings: Settings,
    *,
    clock: Clock | None = None,
    random: Random | None = None,
    environment: Mapping[str, str] = os.environ,
) -> AsyncIterator[Runtime]:
    """Build the graph on a database whose schema is at head, and close it again.

    Raises SettingsError, SchemaError and DatabaseUnavailableError.
    """
    clock, random = clock or SystemClock(), random or Random()  # noqa: S311 - jitter, not secrets
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        adapters = AdapterRegistry.from_settings(
            settings.adapters, settings.lms, environment, clock, metrics
        )
        stack.push_async_callback(adapters.cleanup)
        database = await _open_database(stack, settings)
        background = Background(clock, random)
        stack.push_async_callback(background.close)
        _start_tasks(background, database, adapters, clock)
        _watch(metrics, database, background, clock)
        clock_offset_s = await database.clock_offset_s(clock)
        ids, shield = Ids(clock, clock_offset_s), Shield()
        recorder = _open_recorder(stack, database, shield, clock)
        rules = _record_rules(settings)
        records = ExecutionRecords(database, recorder, ids, shield, metrics, rules)
        stack.push_async_callback(records.close, RUNS_GRACE_S)
        catalogue = ProgramCatalogue()
        preparation, states = ProgramPreparation(adapters), ProgramStates(adapters)
        initialize_program = ProgramInitialization(database, catalogue, preparation, shield)
        change_program = ProgramChange(database, catalogue, adapters, preparation)
        wait_for_execution = ExecutionWaiting(database, ExecutionEnds(clock), clock)
        yield Runtime(
            settings=settings,
            database=database,
            adapters=adapters,
            background=background,
            drain=Drain(),
            metrics=metrics,
            clock_offset_s=clock_offset_s,
            keyring=_open_keyring(stack, database, background, clock),
            register_signature=SignatureRegistration(database, ids),
            move_signature=SignatureTransition(database),
            check_values=SignatureCheck(database),
            register_program=ProgramRegistration(
                database, ids, adapters, states, initialize_program
            ),
            initialize_program=initialize_program,
            change_program=change_program,
            restore_program=ProgramRestoration(database, change_program),
            archive_program=ProgramArchiving(database, adapters),
            read_state=ProgramStateReading(database, catalogue, states),
            upload_state=ProgramStateUpload(database, catalogue, states, change_program),
            execute_program=ProgramExecution(database, catalogue, adapters, records, clock, random),
            wait_for_execution=wait_for_execution,
            idempotency=Idempotency(database),
            replay_program=ProgramReplaying(database, clock),
            replay_execution=ExecutionReplaying(database, wait_for_execution),
        )


async def _open_database(stack: AsyncExitStack, settings: Settings) -> Database:
    database = Database.connect(settings.database)
    stack.push_async_callback(database.close)
    await database.require_head()
    await _make_partitions(database)
    return database


def _open_recorder(
    stack: AsyncExitStack, database: Database, shield: Shield, clock: Clock
) -> Recorder:
    recorder = Recorder(database.open_connection, database.make_partitions, clock)
    stack.push_async_callback(shield.drained)  # after the recorder, whose end frees what waits
    stack.push_async_callback(recorder.close, RECORDER_GRACE_S)
    return recorder


def _open_keyring(
    stack: AsyncExitStack, database: Database, background: Background, clock: Clock
) -> Keyring:
    keyring = Keyring(database, clock)
    stack.push_async_callback(keyring.close)
    background.start("write uses of keys", every(USES_EVERY_S, keyring.write_uses, clock))
    return keyring


def _record_rules(settings: Settings) -> RecordRules:
    return RecordRules(
        patience_s=settings.database.pool_timeout_ms / 1_000,
        keeps_traces=settings.telemetry.content,
    )


def _watch(metrics: Metrics, database: Database, background: Background, clock: Clock) -> None:
    lag = LoopLag(clock)
    metrics.watch(database.pool_counts, lambda: lag.worst_s)
    background.start("measure the event loop's lag", lag.measure)


def _start_tasks(
    background: Background, database: Database, adapters: AdapterRegistry, clock: Clock
) -> None:
    async def make_partitions() -> None:
        await _make_partitions(database)

    async def fold_counts() -> None:
        async with database.transaction() as tx:
            await tx.programs.fold_counts()

    async def drop_idempotency_keys() -> None:
        is_full = True
        while is_full:
            async with database.transaction() as tx:
                is_full = await tx.idempotency_keys.drop_expired() == SLICE

    background.start(WARM_UP, adapters.warm_up)
    background.start("drop old keys", every(DROP_KEYS_EVERY_S, drop_idempotency_keys, clock))
    background.start("make partitions", every(PARTITIONS_EVERY_S, make_partitions, clock))
    background.start("fold counts", every(FOLD_COUNTS_EVERY_S, fold_counts, clock))


async def _make_partitions(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.partitions.ensure(WEEKS_AHEAD)
