"""The route that runs programs: at once, or in the background where the client prefers that."""

from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response, status
from pydantic import Field

from app.actions.program_execution import ProgramExecutionInput
from app.actions.program_execution.ending import problem_of
from app.actions.program_execution.options import ExecutionOptions
from app.api.auth import EXECUTE, needs
from app.api.contract_route import ContractRoute
from app.api.deps import ProgramId
from app.api.disconnect import until_disconnect
from app.api.executions import Execution, execution_document
from app.api.idempotency import PARAMETER as KEY
from app.api.idempotency import claim_of, once
from app.api.prefer import ANSWER_HEADERS, APPLIED, Preference, preference_of
from app.api.prefer import PARAMETER as PREFER
from app.api.problems import problem_responses
from app.api.responses import JSONResponse
from app.api.run_options import AttemptMs, Repairs, Retries, RetryDelayMs
from app.api.views import Document, RequestBody
from app.errors import (
    BackendUnavailableError,
    ExecutionCancelledError,
    ExecutionFailedError,
    ExecutionTimedOutError,
    IdempotencyKeyReusedError,
    InvalidInputsError,
    ProgramNotFoundError,
    ProgramNotReadyError,
    RevisionNotFoundError,
)
from app.models import Execution as ExecutionRow
from app.models import IdempotencyKey
from app.models.idempotency_keys import Claim
from app.models.states import ExecutionStatus
from app.runtime import Runtime

router = APIRouter(prefix="/v1", tags=["executions"], route_class=ContractRoute)

_DEFAULTS = ExecutionOptions()


class Options(RequestBody):
    """How the execution is run; times in milliseconds."""

    timeout: AttemptMs = _DEFAULTS.timeout
    max_retries: Retries = _DEFAULTS.max_retries
    retry_delay: RetryDelayMs = _DEFAULTS.retry_delay
    deadline_ms: Annotated[int, Field(strict=True, ge=1, le=86_400_000)] = Field(
        default=_DEFAULTS.deadline_ms, description="Of the whole, waits included."
    )
    max_repairs: Repairs = Field(
        default=_DEFAULTS.max_repairs,
        description="How often the model is asked again, with the faults told to it, where its "
        "outputs do not validate; these attempts do not count as retries.",
        examples=[1],
    )
    config: Document = Field(
        default_factory=dict,
        description="LM parameters of this call.",
        examples=[{"temperature": 0.2}],
    )


class ExecutionCreate(RequestBody):
    """One run of a program."""

    inputs: Document = Field(examples=[{"question": "What is the capital of France?"}])
    execution_options: Options = Field(default_factory=Options)
    metadata: Document = Field(default_factory=dict, description="The client's alone.")

    def as_input(
        self, program_id: UUID, revision: int | None, request_id: str, claim: Claim | None
    ) -> ProgramExecutionInput:
        """Give the body as the action takes it."""
        return ProgramExecutionInput(
            program_id=program_id,
            inputs=self.inputs,
            options=ExecutionOptions(**self.execution_options.model_dump()),
            metadata=self.metadata,
            request_id=request_id,
            revision=revision,
            claim=claim,
        )


Revision = Annotated[
    int | None,
    Query(ge=1, le=2**31 - 1, description="The revision to run; without it, the program's own."),
]

_ACCEPTED: dict[int | str, dict[str, Any]] = {
    status.HTTP_202_ACCEPTED: {
        "model": Execution,
        "description": "Accepted: it runs in the background",
        "headers": ANSWER_HEADERS,
    }
}


@router.post(
    "/programs/{program_id}/executions",
    openapi_extra={"parameters": [KEY, PREFER]},
    response_model=Execution,
    responses=_ACCEPTED
    | problem_responses(
        ProgramNotFoundError,
        RevisionNotFoundError,
        ProgramNotReadyError,
        ExecutionCancelledError,
        InvalidInputsError,
        IdempotencyKeyReusedError,
        ExecutionFailedError,
        BackendUnavailableError,
        ExecutionTimedOutError,
    ),
)
@needs(EXECUTE)
async def execute_program(
    program_id: ProgramId,
    body: ExecutionCreate,
    request: Request,
    revision: Revision = None,
) -> Response:
    runtime: Runtime = request.app.state.runtime
    claim = await claim_of(request)
    wanted = body.as_input(program_id, revision, request.state.request_id, claim)
    preference = preference_of(request)
    if preference.is_async:
        return await _accept(request, wanted, preference)
    execute = partial(runtime.execute_program, wanted)
    if claim is None:  # with one, it runs on without its client
        return JSONResponse(execution_document(await until_disconnect(request, execute())))

    async def replay(kept: IdempotencyKey) -> ExecutionRow:
        return await until_disconnect(request, runtime.replay_execution(kept))

    return JSONResponse(execution_document(await once(request, claim, execute, replay)))


async def _accept(
    request: Request, wanted: ProgramExecutionInput, preference: Preference
) -> Response:
    """Accept an execution, which runs on whether its client waits or goes."""
    runtime: Runtime = request.app.state.runtime

    async def replay(kept: IdempotencyKey) -> ExecutionRow:
        return await runtime.replay_execution(kept, preference.wait_s)

    accept = partial(runtime.accept_execution, wanted)
    execution = await once(request, wanted.claim, accept, replay)
    if preference.wait_s and execution.finished_at is None:
        waiting = runtime.wait_for_execution(execution.id, preference.wait_s)
        execution = await until_disconnect(request, waiting)
    has_ended = bool(preference.wait_s) and execution.finished_at is not None
    if has_ended and execution.status != ExecutionStatus.COMPLETED:
        raise problem_of(execution)
    return JSONResponse(
        execution_document(execution),
        status.HTTP_200_OK if has_ended else status.HTTP_202_ACCEPTED,
        {"Location": f"/v1/executions/{execution.id}", APPLIED: preference.applied},
    )
