"""The routes of programs."""

from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response, status
from pydantic import ConfigDict, Field, StringConstraints

from app.actions.program_change import ProgramChangeInput
from app.actions.program_registration import ProgramRegistrationInput
from app.api.auth import MANAGE, READ_RUNS, needs
from app.api.contract_route import ContractRoute
from app.api.deps import PageDep, ProgramId, RuntimeDep
from app.api.idempotency import PARAMETER, claim_of, once
from app.api.problems import problem_responses
from app.api.views import Document, Instant, Name, RequestBody, Text, View
from app.errors import (
    IdempotencyKeyReusedError,
    InvalidRequestError,
    InvalidStateError,
    InvalidTransitionError,
    NameTakenError,
    ProgramNotFoundError,
    RevisionNotFoundError,
    SignatureDeprecatedError,
    SignatureNotFoundError,
    StateUnavailableError,
)
from app.models import IdempotencyKey
from app.models import Program as ProgramRow
from app.models.idempotency_keys import Claim
from app.models.states import ProgramStatus
from app.runtime import Runtime

router = APIRouter(prefix="/v1/programs", tags=["programs"], route_class=ContractRoute)

Days = Annotated[int, Field(ge=0, le=36_500, strict=True)]


class Retention(RequestBody):
    """Days to keep a program's executions, by status; 0 keeps them for ever."""

    completed_days: Days | None = None
    failed_days: Days | None = None
    cancelled_days: Days | None = None


_PROGRAM: Document = {
    "name": "answer",
    "signature_id": "0192f3c4-5b6d-7e8f-9a0b-1c2d3e4f5a6b",
    "module": "chain_of_thought",
    "adapter": "dspy",
    "config": {"lm": "main", "temperature": 0},
    "metadata": {"team": "support"},
}


class ProgramCreate(RequestBody):
    """A program: a signature on a module, an adapter and a configuration."""

    model_config = ConfigDict(json_schema_extra={"examples": [_PROGRAM]})

    name: Name
    signature_id: UUID
    module: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    adapter: Name
    config: Document = Field(default_factory=dict)
    state: Document | None = Field(
        default=None, description="A compiled state, as for `PUT …/state`."
    )
    description: Text = ""
    metadata: Document = Field(default_factory=dict)
    retention: Retention | None = None
    initialize: Annotated[bool, Field(strict=True)] = True

    def as_input(self, claim: Claim | None) -> ProgramRegistrationInput:
        """Give the body as the action takes it."""
        values = self.model_dump(exclude={"retention"})
        retention = self.retention.model_dump() if self.retention is not None else None
        return ProgramRegistrationInput(**values, retention=retention, claim=claim)


_SETUP = ("adapter", "config")
"""The members of a change that are a new revision where they differ."""


class ProgramChange(RequestBody):
    """What shall be otherwise; what is left out stays. Only `retention` may be null: cleared."""

    # The defaults are never read: what was not sent is not changed.
    adapter: Name = Field(default_factory=str, examples=["dspy"])
    config: Document = Field(default_factory=dict, examples=[{"lm": "main", "temperature": 0}])
    description: Text = Field(default_factory=str)
    metadata: Document = Field(default_factory=dict)
    retention: Retention | None = Field(default_factory=type(None))

    def as_input(self, program_id: UUID) -> ProgramChangeInput:
        """Give the body as the action takes it."""
        values: dict[str, Any] = self.model_dump(include=self.model_fields_set)
        if self.retention is not None:
            values["retention"] = self.retention.model_dump()
        setup = {name: values.pop(name) for name in _SETUP if name in values}
        if "metadata" in values:
            values["metadata_"] = values.pop("metadata")
        return ProgramChangeInput(program_id, details=values, setup=setup)


class Program(View):
    """What is executed."""

    program_id: UUID = Field(validation_alias="id")
    name: str
    signature_id: UUID
    module: str
    adapter: str
    config: Document
    revision: int
    status: ProgramStatus
    error: str | None
    prepared: bool = Field(
        default=False, description="Whether its adapter holds it prepared for this process."
    )
    description: str
    metadata: Document = Field(validation_alias="metadata_")
    retention: Retention | None
    execution_count: int
    last_executed_at: Instant | None
    created_at: Instant
    updated_at: Instant


class ProgramList(View):
    """One page of programs, newest first."""

    items: list[Program]
    next_cursor: str | None


class ProgramRevision(View):
    """What a program was at one time."""

    revision: int
    adapter: str
    config: Document
    state: Document | None
    created_at: Instant


class ProgramRevisionList(View):
    """Every revision of a program, newest first."""

    items: list[ProgramRevision]


async def program_view(runtime: Runtime, row: ProgramRow) -> Program:
    """Show a program, and whether its adapter holds it prepared."""
    prepared = await runtime.adapters.holds(row.adapter, row.id, row.revision)
    return Program.model_validate(row).model_copy(update={"prepared": prepared})


@router.post(
    "",
    openapi_extra={"parameters": [PARAMETER]},
    status_code=status.HTTP_201_CREATED,
    responses=problem_responses(
        SignatureNotFoundError,
        SignatureDeprecatedError,
        NameTakenError,
        StateUnavailableError,
        InvalidRequestError,
        InvalidStateError,
        IdempotencyKeyReusedError,
    ),
)
@needs(MANAGE)
async def create_program(
    body: ProgramCreate,
    runtime: RuntimeDep,
    request: Request,
    response: Response,
) -> Program:
    claim = await claim_of(request)

    async def replay(kept: IdempotencyKey) -> ProgramRow:
        return await runtime.replay_program(kept.resource_id, is_initialized=body.initialize)

    register = partial(runtime.register_program, body.as_input(claim))
    program = await once(request, claim, register, replay)
    response.headers["Location"] = f"/v1/programs/{program.id}"
    return await program_view(runtime, program)


@router.get("")
@needs(READ_RUNS)
async def list_programs(
    runtime: RuntimeDep,
    page: PageDep,
    name: str | None = None,
    status: Annotated[ProgramStatus | None, Query()] = None,
    signature_id: UUID | None = None,
) -> ProgramList:
    async with runtime.database.transaction() as tx:
        found = await tx.programs.list_page(
            page, name=name, status=status, signature_id=signature_id
        )
    items = [await program_view(runtime, row) for row in found.items]
    return ProgramList(items=items, next_cursor=found.next_cursor)


@router.get("/{program_id}", responses=problem_responses(ProgramNotFoundError))
@needs(READ_RUNS)
async def get_program(program_id: ProgramId, runtime: RuntimeDep) -> Program:
    async with runtime.database.transaction() as tx:
        program = await tx.programs.get(program_id)
    return await program_view(runtime, program)


@router.patch(
    "/{program_id}",
    responses=problem_responses(ProgramNotFoundError, InvalidTransitionError, InvalidRequestError),
)
@needs(MANAGE)
async def change_program(
    program_id: ProgramId, body: ProgramChange, runtime: RuntimeDep
) -> Program:
    program = await runtime.change_program(body.as_input(program_id))
    return await program_view(runtime, program)


@router.post(
    "/{program_id}/initialize",
    responses=problem_responses(ProgramNotFoundError, InvalidTransitionError),
)
@needs(MANAGE)
async def initialize_program(program_id: ProgramId, runtime: RuntimeDep) -> Program:
    return await program_view(runtime, await runtime.initialize_program(program_id))


@router.get("/{program_id}/revisions", responses=problem_responses(ProgramNotFoundError))
@needs(READ_RUNS)
async def list_program_revisions(program_id: ProgramId, runtime: RuntimeDep) -> ProgramRevisionList:
    async with runtime.database.transaction() as tx:
        await tx.programs.get(program_id)
        revisions = await tx.programs.list_revisions(program_id)
    return ProgramRevisionList(items=[ProgramRevision.model_validate(row) for row in revisions])


@router.post(
    "/{program_id}/revisions/{revision}/restore",
    responses=problem_responses(
        ProgramNotFoundError, RevisionNotFoundError, InvalidTransitionError
    ),
)
@needs(MANAGE)
async def restore_program_revision(
    program_id: ProgramId,
    revision: Annotated[int, Path(ge=1, le=2**31 - 1)],
    runtime: RuntimeDep,
) -> Program:
    return await program_view(runtime, await runtime.restore_program(program_id, revision))


@router.post(
    "/{program_id}/archive",
    responses=problem_responses(ProgramNotFoundError, InvalidTransitionError),
)
@needs(MANAGE)
async def archive_program(program_id: ProgramId, runtime: RuntimeDep) -> Program:
    return await program_view(runtime, await runtime.archive_program(program_id))
