"""The composition root: the graph of objects, built once, in order, and closed in reverse."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from random import Random

from app.actions.batch_processing import Batches
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
from app.actions.program_execution.runs import Runs
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
from app.actions.signature_check import SignatureCheck
from app.actions.signature_registration import SignatureRegistration
from app.actions.signature_transition import SignatureTransition
from app.actions.signature_validation import SignatureValidation
from app.actions.signature_validation.step import Tools
from app.adapters.lm_limits import LMLimiters
from app.adapters.registry import AdapterRegistry
from app.adapters.signature_modules import SignatureModules
from app.background import Background
from app.database import Database
from app.jobs.deliveries import open_callbacks
from app.jobs.engine import Engines
from app.jobs.worker import Worker
from app.policies.clock import Clock, SystemClock
from app.policies.drain import Drain
from app.processes.uploads import AbandonedUploads
from app.runtime.base import WARM_UP, Base, open_base
from app.runtime.presence import VERSION, enter, listen
from app.runtime.work import connections_of, open_cleanup, open_records, open_worker
from app.settings import Settings
from app.telemetry.metrics import Metrics

__all__ = ["VERSION", "WARM_UP", "Runtime", "connections_of", "open_runtime"]

USES_EVERY_S = 30.0
OBSERVE_COST_EVERY_S = 5.0
RUNS_GRACE_S = 2.0
"""How long a closing process waits for the records of what it cancels to end."""


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


@asynccontextmanager
async def open_runtime(
    settings: Settings,
    *,
    kind: str = "serve",
    clock: Clock | None = None,
    random: Random | None = None,
    environment: Mapping[str, str] = os.environ,
    metrics: Metrics | None = None,
) -> AsyncIterator[Runtime]:
    """Build the graph on a database whose schema is at head, and close it again.

    `kind` is what the other processes are told of this one; `metrics` may count together with
    theirs. Raises SettingsError, SchemaError and DatabaseUnavailableError.
    """
    clock, random = clock or SystemClock(), random or Random()  # noqa: S311 - jitter, not secrets
    async with AsyncExitStack() as stack:
        base = await open_base(stack, settings, environment, clock, random, metrics)
        database, adapters, ids = base.database, base.adapters, base.ids
        runs, abandoned = await enter(stack, base, kind)
        records = await open_records(stack, base)
        stack.push_async_callback(runs.close, RUNS_GRACE_S)
        catalogue, ends = listen(base, runs)
        engines = Engines(settings.database, base.reserved, runs.owner_id, clock, random)
        modules = SignatureModules(settings.imports.packages, environment)
        preparation, states = ProgramPreparation(adapters), ProgramStates(adapters)
        initialize_program = ProgramInitialization(database, catalogue, preparation, base.shield)
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
            worker=open_worker(stack, base, engines, catalogue, runs, records),
            metrics=base.metrics,
            clock_offset_s=base.clock_offset_s,
            keyring=_open_keyring(stack, base),
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
            batches=_batches(base, catalogue, ends, runs, abandoned),
            check_callback=open_callbacks(stack, settings, environment, database, engines),
            list_held_programs=HeldPrograms(),
            clean_up=open_cleanup(stack, base, engines),
            is_ready=Readiness(base.reserved, clock),
            monitor_health=_health(base, runs),
        )


def _open_keyring(stack: AsyncExitStack, base: Base) -> Keyring:
    patience_s = base.settings.database.pool_timeout_ms / 1_000
    keyring = Keyring(base.reserved, base.clock, patience_s)
    stack.push_async_callback(keyring.close)
    base.repeat("write uses of keys", USES_EVERY_S, keyring.write_uses)
    return keyring


def _batches(
    base: Base,
    catalogue: ProgramCatalogue,
    ends: ExecutionEnds,
    runs: Runs,
    abandoned: AbandonedUploads,
) -> Batches:
    tell = BatchTelling(base.database, base.ids)
    tools = AcceptanceTools(
        base.ids,
        base.clock,
        base.shield,
        base.metrics,
        runs.owner_id,
        abandoned.add,
        tell,
        base.reached,
    )
    batches = Batches.on(base.database, base.reserved, ends, catalogue, base.adapters, tools)
    look_on = partial(batches.listen.look_on, base.drain)
    base.background.start("look at batches that are listened to", look_on)
    return batches


def _health(base: Base, runs: Runs) -> HealthMonitoring:
    async def observe_cost() -> None:
        await base.vitals.observe_cost(len(runs.ids()))

    base.repeat("observe what executions cost", OBSERVE_COST_EVERY_S, observe_cost)
    tools = HealthTools(
        database=base.reserved,
        adapters=base.adapters,
        lms=base.settings.lms,
        drain=base.drain,
        clock=base.clock,
        vitals=base.vitals,
        pool=base.database.pool_counts,
        waiting=base.database.pool_waiting,
        tasks=base.background.running,
        running=lambda: len(runs.ids()),
    )
    return HealthMonitoring(tools, base.metrics)
