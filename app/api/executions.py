"""The routes of executions."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field

from app.api.auth import EXECUTE, READ_RUNS, needs
from app.api.contract_route import ContractRoute
from app.api.deps import ExecutionId, PageDep, RuntimeDep, WaitDep
from app.api.disconnect import until_disconnect
from app.api.problems import problem_responses
from app.api.responses import JSONResponse
from app.api.views import Document, Instant, View
from app.errors import (
    ExecutionNotFoundError,
    Fault,
    InvalidRequestError,
    InvalidTransitionError,
)
from app.models import Execution as ExecutionRow
from app.models.states import ExecutionStatus, Outcome
from app.stores.executions import ExecutionFilter

router = APIRouter(prefix="/v1", tags=["executions"], route_class=ContractRoute)

PARTS = ("inputs", "outputs", "raw_output", "attempts")
"""What a list leaves out unless it is asked for."""

TRACE = "trace"
"""What one execution leaves out unless it is asked for."""


class SignatureVersion(View):
    """The signature that an execution ran on."""

    signature_id: UUID
    name: str
    version: int


class Attempt(View):
    """One call of the adapter."""

    adapter: str
    started_at: str
    duration_ms: float
    error: Document | None


class Usage(View):
    """What the model's calls cost."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    lm_calls: int


class LMCall(View):
    """One call of a language model."""

    predictor: str | None = Field(description="The DSPy predictor that asked.")
    lm: str
    messages: list[Any]
    completion: str | None
    usage: Usage
    duration_ms: float


class Execution(View):
    """The lifecycle record of one run."""

    execution_id: UUID
    program_id: UUID
    program_name: str
    program_revision: int
    signature: SignatureVersion
    adapter_type: str
    batch_id: UUID | None
    item_index: int | None
    custom_id: str | None
    status: ExecutionStatus
    outcome: Outcome | None
    inputs: Document | None = None
    outputs: Document | None = None
    raw_output: Any = None
    error: Document | None
    details: Document | None
    attempts: list[Attempt] | None = None
    adapter: str | None
    usage: Usage | None
    trace: list[LMCall] | None = Field(
        default=None,
        description="Of one execution, with `include=trace`: each LM call; null unless the "
        "setting telemetry.content is on.",
    )
    duration_ms: float | None
    execution_options: Document
    metadata: Document
    request_id: str | None
    created_at: Instant
    started_at: Instant | None
    finished_at: Instant | None


def _signature_of(row: ExecutionRow) -> Document:
    return {
        "signature_id": row.signature_id,
        "name": row.signature_name,
        "version": row.signature_version,
    }


_READ: Mapping[str, Callable[[ExecutionRow], Any]] = {
    **{name: attrgetter(name) for name in Execution.model_fields},
    "execution_id": attrgetter("id"),
    "signature": _signature_of,
    "metadata": attrgetter("metadata_"),
}
"""How the members of an execution are read from its row."""


def execution_document(row: ExecutionRow, hidden: Collection[str] = (TRACE,)) -> Document:
    """Show a record as an Execution, without the parts that are hidden.

    Straight from the row: to build the view first and take it apart again costs as much as the rest
    of an answer.
    """
    return {name: read(row) for name, read in _READ.items() if name not in hidden}


class ExecutionList(View):
    """One page of executions, newest first."""

    items: list[Execution]
    next_cursor: str | None


def _filter(wanted: Annotated[ExecutionFilter, Depends()]) -> ExecutionFilter:
    """Refuse times that UTC cannot say: the first and the last hours of the calendar."""
    faults = [
        Fault(f"/query/{name}", "out_of_range", "the time is out of range")
        for name in ("created_after", "created_before")
        if not _is_in_calendar(getattr(wanted, name))
    ]
    if faults:
        raise InvalidRequestError("A query parameter is not valid.", faults=faults)
    return wanted


def _is_in_calendar(instant: datetime | None) -> bool:
    try:
        return instant is None or bool(instant.astimezone(UTC))
    except OverflowError:
        return False


def _included(
    include: Annotated[
        str, Query(description=f"Parts to show, comma-separated: {', '.join(PARTS)}.")
    ] = "",
) -> set[str]:
    return parts_of(include, PARTS)


def _included_in_one(
    include: Annotated[
        str,
        Query(
            description="`trace` shows the LM calls; all else is shown always.", examples=[TRACE]
        ),
    ] = "",
) -> set[str]:
    return parts_of(include, (*PARTS, TRACE))


def parts_of(include: str, known: Sequence[str]) -> set[str]:
    """Read `include`; InvalidRequestError where a part is not known."""
    parts = set(include.split(",")) - {""}
    unknown = sorted(parts - set(known))
    if unknown:
        message = f"include does not know {', '.join(unknown)}"
        fault = Fault("/query/include", "unknown_part", message, ", ".join(known))
        raise InvalidRequestError("A query parameter is not valid.", faults=[fault])
    return parts


def _answer(execution: ExecutionRow, *, with_trace: bool = False) -> Response:
    return JSONResponse(execution_document(execution, () if with_trace else (TRACE,)))


@router.get("/executions", response_model=ExecutionList)
@needs(READ_RUNS)
async def list_executions(
    runtime: RuntimeDep,
    page: PageDep,
    wanted: Annotated[ExecutionFilter, Depends(_filter)],
    included: Annotated[set[str], Depends(_included)],
) -> Response:
    async with runtime.database.transaction() as tx:
        found = await tx.executions.list_page(page, wanted)
    hidden = {*PARTS, TRACE} - included
    items = [execution_document(row, hidden) for row in found.items]
    return JSONResponse({"items": items, "next_cursor": found.next_cursor})


@router.get(
    "/executions/{execution_id}",
    response_model=Execution,
    responses=problem_responses(ExecutionNotFoundError),
)
@needs(READ_RUNS)
async def get_execution(
    execution_id: ExecutionId,
    runtime: RuntimeDep,
    request: Request,
    wait_s: WaitDep,
    included: Annotated[set[str], Depends(_included_in_one)],
) -> Response:
    with_trace = TRACE in included
    waiting = runtime.wait_for_execution(execution_id, wait_s, with_trace=with_trace)
    return _answer(await until_disconnect(request, waiting), with_trace=with_trace)


@router.post(
    "/executions/{execution_id}/cancel",
    response_model=Execution,
    responses=problem_responses(ExecutionNotFoundError, InvalidTransitionError),
)
@needs(EXECUTE)
async def cancel_execution(execution_id: ExecutionId, runtime: RuntimeDep) -> Response:
    return _answer(await runtime.cancel_execution(execution_id))
