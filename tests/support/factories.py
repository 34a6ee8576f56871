"""Things to test with, each made by a function whose arguments have defaults."""

import os
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID

import httpx

from app.actions.background_execution import BackgroundExecution
from app.actions.execution_acceptance import ExecutionAcceptance
from app.actions.key_creation import KeyCreation, KeyCreationInput
from app.actions.program_catalogue import ProgramCatalogue
from app.actions.program_execution import ProgramExecution, ProgramExecutionInput
from app.actions.program_execution.options import ExecutionOptions
from app.actions.program_execution.records import ExecutionRecords, RecordRules
from app.actions.program_execution.runs import Runs
from app.actions.signature_registration import SignatureRegistration, SignatureRegistrationInput
from app.adapters.base import Adapter
from app.adapters.registry import AdapterRegistry
from app.adapters.signature_modules import SignatureModules
from app.database import Database
from app.models import Execution, Program, Signature
from app.models.audit import CLI
from app.models.ids import Ids
from app.models.key_text import KeyText
from app.models.scopes import Scope
from app.models.states import ExecutionStatus, ProgramStatus
from app.policies.clock import Clock, SystemClock
from app.policies.shield import Shield
from app.settings import Settings
from app.stores.executions import ExecutionFilter
from app.stores.pages import Page
from app.stores.recorder import Recorder
from app.telemetry.metrics import Metrics
from tests.support.clock import ManualClock

OWNER_ID = UUID("01890000-0000-7000-8000-000000000001")
"""The process that runs what `an_action` runs."""

NOTATION = "question: string -> answer: string"
QUESTION = {"question": "What is the capital of France?"}

_WAYS: Mapping[ProgramStatus, tuple[ProgramStatus, ...]] = {
    ProgramStatus.DRAFT: (),
    ProgramStatus.INITIALIZING: (ProgramStatus.INITIALIZING,),
    ProgramStatus.READY: (ProgramStatus.INITIALIZING, ProgramStatus.READY),
    ProgramStatus.ERROR: (ProgramStatus.INITIALIZING, ProgramStatus.ERROR),
    ProgramStatus.ARCHIVED: (ProgramStatus.ARCHIVED,),
}


def new_ids() -> Ids:
    """Make ids of now, for which there are partitions."""
    return Ids(SystemClock())


@asynccontextmanager
async def a_narrow_database(settings: Settings) -> AsyncIterator[Database]:
    """Open the test's database by one connection, for which nobody waits long."""
    narrow = settings.database.model_copy(update={"pool_size": 1, "pool_timeout_ms": 50})
    database = Database.connect(narrow)
    yield database
    await database.close()


async def a_key(
    database: Database,
    *scopes: Scope,
    name: str = "tester",
    expires_in: timedelta | None = None,
) -> KeyText:
    """Make a key, which may everything unless scopes are named."""
    wanted = KeyCreationInput(name, scopes or (Scope.ADMIN,), expires_in, CLI)
    return (await KeyCreation(database, secrets.choice)(wanted)).text


def bearing(key: KeyText) -> dict[str, str]:
    """Give the header that carries a key."""
    return {"Authorization": f"Bearer {key.text}"}


def a_registration(database: Database, *packages: str) -> SignatureRegistration:
    """Make the action that registers signatures; modules load from these packages alone."""
    modules = SignatureModules(packages, {"PATH": os.environ["PATH"]})
    return SignatureRegistration(database, new_ids(), modules)


async def a_signature(
    database: Database, notation: str = NOTATION, *, name: str = "answer_question"
) -> Signature:
    """Register a signature of this notation."""
    register = a_registration(database)
    return (await register(SignatureRegistrationInput(name=name, notation=notation))).signature


async def a_program(
    database: Database,
    notation: str = NOTATION,
    *,
    status: ProgramStatus = ProgramStatus.READY,
    error: str | None = None,
    adapter: str = "scripted",
    name: str = "answerer",
) -> Program:
    """Store a program in this status, on a signature of this notation."""
    signature = await a_signature(database, notation)
    async with database.transaction() as tx:
        program = await tx.programs.add(
            {
                "id": new_ids().new(),
                "name": name,
                "signature_id": signature.id,
                "module": "predict",
                "adapter": adapter,
                "config": {},
                "description": "",
                "metadata_": {},
                "retention": None,
            }
        )
        for step in _WAYS[status]:
            await tx.programs.mark(program.id, step, error=error)
        return program


async def an_execution(
    database: Database, program: Program, *, end: Mapping[str, Any] | None = None, **values: Any
) -> Execution:
    """Store a record: running, or ended as `end` says."""
    async with database.transaction() as tx:
        signature = await tx.signatures.get(program.signature_id)
        execution_id = await tx.executions.add_running(
            {
                "id": new_ids().new(),
                "program_id": program.id,
                "program_name": program.name,
                "program_revision": program.revision,
                "signature_id": signature.id,
                "signature_name": signature.name,
                "signature_version": signature.version,
                "adapter_type": "scripted",
                "inputs": QUESTION,
                "execution_options": ExecutionOptions().as_document(),
                "metadata_": {},
                **values,
            }
        )
        if end is not None:
            await tx.executions.finish(
                execution_id, {"status": ExecutionStatus.COMPLETED, "outcome": "success", **end}
            )
        return await tx.executions.get(execution_id)


def a_recorder(
    database: Database,
    *,
    step: Callable[[str], None] = lambda _: None,
    ended: Callable[[Sequence[UUID]], None] = lambda _: None,
) -> Recorder:
    """Build a recorder, whose connections end with the database's.

    `step` hears of each connection and, before anybody else, of each statement that was done.
    """

    async def connect() -> Any:
        step("connect")
        connection = await database.open_connection()
        connection.add_query_logger(lambda done: step(done.query))
        return connection

    return Recorder(connect, database.make_partitions, SystemClock(), ended)


def a_catalogue(database: Database) -> ProgramCatalogue:
    """Build a catalogue that nobody tells of changes."""
    return ProgramCatalogue(database, SystemClock())


def an_action(
    database: Database,
    *adapters: Adapter,
    clock: Clock | None = None,
    seed: int = 0,
    shield: Shield | None = None,
    recorder: Recorder | None = None,
    runs: Runs | None = None,
) -> ProgramExecution:
    """Build the execution of programs on these adapters, on a clock that takes no time."""
    return ProgramExecution(
        a_catalogue(database),
        AdapterRegistry(adapters),
        _records(database, recorder, shield),
        runs or Runs(lambda: OWNER_ID),
        clock or ManualClock(),
        Random(seed),  # noqa: S311 - jitter
    )


def _records(
    database: Database, recorder: Recorder | None = None, shield: Shield | None = None
) -> ExecutionRecords:
    return ExecutionRecords(
        database,
        recorder or a_recorder(database),
        new_ids(),
        shield or Shield(),
        Metrics(),
        RecordRules(patience_s=10),
    )


def an_acceptance(database: Database, *adapters: Adapter) -> ExecutionAcceptance:
    """Build the acceptance of executions of programs on these adapters."""
    registry = AdapterRegistry(adapters)
    return ExecutionAcceptance(a_catalogue(database), registry, _records(database))


def a_background_run(
    database: Database,
    *adapters: Adapter,
    clock: Clock | None = None,
    runs: Runs | None = None,
    catalogue: ProgramCatalogue | None = None,
) -> BackgroundExecution:
    """Build what runs claimed executions, on a clock that takes no time."""
    return BackgroundExecution(
        catalogue or a_catalogue(database),
        AdapterRegistry(adapters),
        _records(database),
        runs or Runs(lambda: OWNER_ID),
        clock or ManualClock(),
        Random(0),  # noqa: S311 - jitter
    )


async def the_claimed(database: Database, owner_id: UUID = OWNER_ID) -> Execution:
    """Claim the one execution that waits."""
    async with database.transaction() as tx:
        (execution,) = (await tx.pending_executions.claim(owner_id, 9)).executions
    return execution


def a_run(
    program: Program,
    inputs: Mapping[str, Any] | None = None,
    *,
    revision: int | None = None,
    **options: Any,
) -> ProgramExecutionInput:
    """Ask for one run, with these options."""
    given = QUESTION if inputs is None else inputs
    return ProgramExecutionInput(program.id, given, ExecutionOptions(**options), revision=revision)


async def records_of(database: Database, program: Program) -> list[Execution]:
    """List the records of a program, the oldest first."""
    async with database.transaction() as tx:
        wanted = ExecutionFilter(program_id=program.id)
        page = await tx.executions.list_page(Page(limit=200), wanted)
        return list(reversed(page.items))


async def the_record(database: Database, program: Program) -> Execution:
    """Give the one record of a program."""
    (record,) = await records_of(database, program)
    return record


async def reloaded(database: Database, program: Program) -> Program:
    """Read a program again."""
    async with database.transaction() as tx:
        return await tx.programs.get(program.id)


def signature_body(**members: Any) -> dict[str, Any]:
    """Give the body of a signature."""
    return {"name": "answer_question", "notation": NOTATION, **members}


async def post_signature(client: httpx.AsyncClient, **members: Any) -> dict[str, Any]:
    """Register a signature over HTTP."""
    answer = await client.post("/v1/signatures", json=signature_body(**members))
    assert answer.status_code in {200, 201}, answer.text
    return dict(answer.json())


async def program_body(
    client: httpx.AsyncClient, *, notation: str = NOTATION, **members: Any
) -> dict[str, Any]:
    """Give the body of a program on the mock adapter, on a signature of this notation."""
    signature = await post_signature(client, notation=notation)
    body = {
        "name": "answerer",
        "signature_id": signature["signature_id"],
        "module": "predict",
        "adapter": "mock",
    }
    return body | members


async def post_program(
    client: httpx.AsyncClient, script: Mapping[str, Any] | None = None, **members: Any
) -> dict[str, Any]:
    """Register a program over HTTP; the mock adapter runs it by `script`."""
    script = {"outputs": {"answer": "Paris"}} if script is None else script
    body = await program_body(client, **{"config": {"mock": script}, **members})
    answer = await client.post("/v1/programs", json=body)
    assert answer.status_code == httpx.codes.CREATED, answer.text
    return dict(answer.json())


async def post_execution(
    client: httpx.AsyncClient,
    program: Mapping[str, Any],
    inputs: Mapping[str, Any] | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    **members: Any,
) -> httpx.Response:
    """Run a program over HTTP."""
    body = {"inputs": QUESTION if inputs is None else inputs, **members}
    if options is not None:
        body["execution_options"] = options
    return await client.post(f"/v1/programs/{program['program_id']}/executions", json=body)


async def post_batch(
    client: httpx.AsyncClient,
    program: Mapping[str, Any],
    inputs: Any,
    *,
    headers: Mapping[str, str] | None = None,
    **members: Any,
) -> httpx.Response:
    """Ask for a batch."""
    path = f"/v1/programs/{program['program_id']}/batches"
    return await client.post(path, json={"batch_inputs": inputs, **members}, headers=headers)
