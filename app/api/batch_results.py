"""The results of a batch: in pages, or as one stream of JSON Lines."""

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from app.actions.json_text import json_bytes
from app.api.auth import READ_RUNS, needs
from app.api.batch_views import BatchResults, result_document
from app.api.contract_route import ContractRoute
from app.api.deps import BatchId, PageDep, RuntimeDep
from app.api.executions import parts_of
from app.api.json_lines import LINES, JSONLinesResponse, lines_asked_for
from app.api.problems import problem_responses
from app.api.responses import JSONResponse
from app.errors import BatchNotFoundError, Fault, InvalidRequestError
from app.models.states import ExecutionStatus, Outcome
from app.stores.batch_items import RESULT_PARTS, ItemFilter, ItemResult

router = APIRouter(prefix="/v1", tags=["batches"], route_class=ContractRoute)


async def _filter(
    status: Annotated[ExecutionStatus | None, Query()] = None,
    outcome: Annotated[Outcome | None, Query()] = None,
    from_index: Annotated[
        int, Query(ge=0, le=2**31 - 1, description="Leaves out items before this index.")
    ] = 0,
) -> ItemFilter:
    return ItemFilter(status, outcome, from_index)


async def _included(
    include: Annotated[
        str, Query(description=f"Parts to show, comma-separated: {', '.join(RESULT_PARTS)}.")
    ] = "",
) -> set[str]:
    return parts_of(include, RESULT_PARTS)


@router.get(
    "/batches/{batch_id}/results",
    response_model=BatchResults,
    responses={**problem_responses(BatchNotFoundError), 200: {"content": LINES}},
)
@needs(READ_RUNS)
async def list_batch_results(
    batch_id: BatchId,
    request: Request,
    runtime: RuntimeDep,
    page: PageDep,
    wanted: Annotated[ItemFilter, Depends(_filter)],
    included: Annotated[set[str], Depends(_included)],
) -> Response:
    """In order of index: a page, or all in one stream where `Accept` asks for JSON Lines."""
    hidden, media_type = {*RESULT_PARTS} - included, lines_asked_for(request)
    if media_type is not None:
        _refuse_pages(request)
        slices = await runtime.batches.stream_results(batch_id, wanted, included)
        return JSONLinesResponse(_lines(slices, hidden), media_type=media_type)
    found = await runtime.batches.list_results(batch_id, page, wanted, included)
    items = [result_document(row, hidden) for row in found.items]
    return JSONResponse({"items": items, "next_cursor": found.next_cursor})


def _refuse_pages(request: Request) -> None:
    faults = [
        Fault(f"/query/{name}", "unknown_parameter", "a stream has no pages")
        for name in ("limit", "cursor")
        if name in request.query_params
    ]
    if faults:
        raise InvalidRequestError("A stream is not cut into pages.", faults=faults)


async def _lines(
    slices: AsyncIterator[Sequence[ItemResult]], hidden: Collection[str]
) -> AsyncIterator[bytes]:
    """Write a line for each item, and one that says that they are all."""
    count = 0
    async for rows in slices:
        count += len(rows)
        yield b"".join(json_bytes(result_document(row, hidden)) + b"\n" for row in rows)
    yield json_bytes({"end": True, "count": count}) + b"\n"
