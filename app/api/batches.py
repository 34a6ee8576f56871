"""The routes of batches."""

from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Query, Request, Response, status

from app.actions.batch_processing.asking import BatchAcceptanceInput, listed
from app.actions.batch_processing.options import BatchOptions
from app.actions.batch_processing.reporting import report_of
from app.actions.batch_processing.retrying import BatchRetryingInput
from app.actions.batch_processing.validation import Incoming
from app.api.auth import EXECUTE, READ_RUNS, needs
from app.api.batch_answers import ACCEPTED, accepted, replayed, shown
from app.api.batch_uploads import UPLOAD_PARAMETERS
from app.api.batch_views import (
    Batch,
    BatchCreate,
    BatchList,
    BatchRetry,
    batch_document,
)
from app.api.contract_route import ContractRoute
from app.api.deps import BatchId, PageDep, ProgramId, RuntimeDep, WaitDep
from app.api.disconnect import until_disconnect
from app.api.idempotency import PARAMETER as KEY
from app.api.idempotency import claim_of, once
from app.api.json_lines import LINES
from app.api.prefer import WAIT_PARAMETER as PREFER
from app.api.problems import problem_responses
from app.api.responses import JSONResponse
from app.errors import (
    BatchNotFoundError,
    IdempotencyKeyReusedError,
    InvalidInputsError,
    InvalidTransitionError,
    NothingToRetryError,
    ProgramNotFoundError,
    ProgramNotReadyError,
)
from app.models.states import BatchStatus
from app.runtime import Runtime

router = APIRouter(prefix="/v1", tags=["batches"], route_class=ContractRoute)

CALLBACK = "/batch_options/progress_callback"


@router.post(
    "/programs/{program_id}/batches",
    status_code=status.HTTP_202_ACCEPTED,
    openapi_extra={
        "parameters": [KEY, PREFER, *UPLOAD_PARAMETERS],
        "requestBody": {"content": LINES},
    },
    response_model=Batch,
    responses=ACCEPTED
    | problem_responses(
        ProgramNotFoundError, ProgramNotReadyError, InvalidInputsError, IdempotencyKeyReusedError
    ),
)
@needs(EXECUTE)
async def create_batch(program_id: ProgramId, body: BatchCreate, request: Request) -> Response:
    runtime: Runtime = request.app.state.runtime
    items = [
        Incoming(index, None, inputs, at=f"/batch_inputs/{index}")
        for index, inputs in enumerate(body.batch_inputs)
    ]
    runtime.check_callback(body.batch_options.progress_callback, CALLBACK)
    wanted = BatchAcceptanceInput(
        program_id=program_id,
        items=listed(items),
        options=BatchOptions(**body.batch_options.model_dump()),
        on_invalid=body.on_invalid,
        metadata=body.metadata,
        request_id=request.state.request_id,
        claim=await claim_of(request),
    )
    accept = partial(runtime.batches.accept, wanted)
    read = await once(request, wanted.claim, accept, partial(replayed, runtime))
    return await accepted(request, read)


@router.get("/batches", response_model=BatchList)
@needs(READ_RUNS)
async def list_batches(
    runtime: RuntimeDep,
    page: PageDep,
    program_id: Annotated[UUID | None, Query()] = None,
    status: Annotated[BatchStatus | None, Query()] = None,
) -> Response:
    async with runtime.database.transaction() as tx:
        found = await tx.batches.list_page(page, program_id=program_id, status=status)
    items = [batch_document(report_of(read)) for read in found.items]
    return JSONResponse({"items": items, "next_cursor": found.next_cursor})


@router.get(
    "/batches/{batch_id}",
    response_model=Batch,
    responses=problem_responses(BatchNotFoundError),
)
@needs(READ_RUNS)
async def get_batch(
    batch_id: BatchId, runtime: RuntimeDep, request: Request, wait_s: WaitDep
) -> Response:
    waiting = runtime.batches.wait(batch_id, wait_s)
    return await shown(runtime, await until_disconnect(request, waiting))


@router.post(
    "/batches/{batch_id}/pause",
    response_model=Batch,
    responses=problem_responses(BatchNotFoundError, InvalidTransitionError),
)
@needs(EXECUTE)
async def pause_batch(batch_id: BatchId, runtime: RuntimeDep) -> Response:
    return await shown(runtime, await runtime.batches.pause(batch_id))


@router.post(
    "/batches/{batch_id}/resume",
    response_model=Batch,
    responses=problem_responses(BatchNotFoundError, InvalidTransitionError),
)
@needs(EXECUTE)
async def resume_batch(batch_id: BatchId, runtime: RuntimeDep) -> Response:
    return await shown(runtime, await runtime.batches.resume(batch_id))


@router.post(
    "/batches/{batch_id}/cancel",
    status_code=status.HTTP_202_ACCEPTED,
    response_model=Batch,
    responses=problem_responses(BatchNotFoundError, InvalidTransitionError),
)
@needs(EXECUTE)
async def cancel_batch(batch_id: BatchId, runtime: RuntimeDep) -> Response:
    read = await runtime.batches.cancel(batch_id)
    return await shown(runtime, read, status.HTTP_202_ACCEPTED)


@router.post(
    "/batches/{batch_id}/retry-failed",
    status_code=status.HTTP_202_ACCEPTED,
    openapi_extra={"parameters": [KEY, PREFER]},
    response_model=Batch,
    responses=ACCEPTED
    | problem_responses(
        BatchNotFoundError,
        InvalidTransitionError,
        NothingToRetryError,
        ProgramNotReadyError,
        IdempotencyKeyReusedError,
    ),
)
@needs(EXECUTE)
async def retry_failed_items(
    batch_id: BatchId,
    request: Request,
    body: Annotated[BatchRetry, Body(default_factory=BatchRetry)],
) -> Response:
    runtime: Runtime = request.app.state.runtime
    options = body.batch_options.model_dump(exclude_unset=True)
    runtime.check_callback(options.get("progress_callback"), CALLBACK)
    request_id = request.state.request_id
    wanted = BatchRetryingInput(batch_id, options, request_id, await claim_of(request))
    retry = partial(runtime.batches.retry, wanted)
    read = await once(request, wanted.claim, retry, partial(replayed, runtime))
    return await accepted(request, read)
