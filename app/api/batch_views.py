"""What clients send and see of batches."""

from collections.abc import Callable, Collection, Mapping
from operator import attrgetter
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from app.actions.batch_processing.documents import document_of
from app.actions.batch_processing.options import BatchOptions
from app.actions.batch_processing.reporting import MOST_ITEMS, BatchReport
from app.actions.batch_processing.validation import OnInvalid
from app.api.executions import Attempt, Usage
from app.api.run_options import AttemptMs, Repairs, Retries, RetryDelayMs
from app.api.views import Document, Instant, RequestBody, View
from app.models import Execution as ExecutionRow
from app.models.states import BatchStatus, ExecutionStatus, Outcome
from app.stores.batch_items import ItemResult
from app.webhooks.addresses import LONGEST

_DEFAULTS = BatchOptions()


class BatchOptionsBody(RequestBody):
    """How a batch is run; times in milliseconds."""

    batch_size: Annotated[int, Field(strict=True, ge=1, le=1_000)] = Field(
        default=_DEFAULTS.batch_size,
        description="Items that are handed out and recorded together, at most.",
    )
    max_concurrency: Annotated[int, Field(strict=True, ge=1, le=1_000)] = Field(
        default=_DEFAULTS.max_concurrency,
        description="Items in flight at once, over all processes.",
    )
    timeout_per_item: AttemptMs = _DEFAULTS.timeout_per_item
    continue_on_error: Annotated[bool, Field(strict=True)] = Field(
        default=_DEFAULTS.continue_on_error,
        description="Whether the others run when an item has failed.",
    )
    retry_failed: Annotated[bool, Field(strict=True)] = Field(
        default=_DEFAULTS.retry_failed, description="False: no retries."
    )
    max_retries: Retries = _DEFAULTS.max_retries
    retry_delay: RetryDelayMs = _DEFAULTS.retry_delay
    max_repairs: Repairs = Field(
        default=_DEFAULTS.max_repairs,
        description="How often the model is asked again where its outputs do not validate.",
    )
    progress_callback: Annotated[str, Field(strict=True, max_length=LONGEST)] | None = Field(
        default=_DEFAULTS.progress_callback,
        description="An https address that is posted the batch's progress, at most once a second, "
        "and its end: docs/howto/get-called-back.md.",
        examples=["https://hooks.example.com/dspatch"],
    )


class BatchCreate(RequestBody):
    """Many runs of a program."""

    batch_inputs: list[Any] = Field(
        description="The inputs of each item; or exactly `{custom_id, inputs}`, where the "
        "signature has no inputs called so. A custom_id is text, unique in the batch.",
        examples=[[{"question": "What is the capital of France?"}, {"question": "Of Peru?"}]],
    )
    batch_options: BatchOptionsBody = Field(default_factory=BatchOptionsBody)
    on_invalid: OnInvalid = Field(
        default=OnInvalid.REJECT,
        description="What becomes of the batch where inputs do not fit the signature: nothing is "
        "accepted, or these items are recorded as failed and the others run.",
    )
    metadata: Document = Field(default_factory=dict, description="The client's alone.")


class BatchRetry(RequestBody):
    """The rest of a batch, once more."""

    batch_options: BatchOptionsBody = Field(
        default_factory=BatchOptionsBody,
        description="Options that shall be others than before; the rest stays as it was.",
        examples=[{"max_concurrency": 8}],
    )


class BatchProgress(View):
    """How far a batch has come."""

    done: int
    rate_per_s: float
    eta_ms: float | None


class Percentiles(View):
    """Of the durations of ended items, in milliseconds; null before the batch's end."""

    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None


class BatchSummary(View):
    """The counts of a batch in short."""

    completed: int
    failed: int
    total: int
    duration_seconds: float | None


class BatchSuccess(View):
    """A completed item."""

    index: int
    custom_id: str | None
    outputs: Document | None


class BatchFailure(View):
    """An item that did not complete, or never ran."""

    index: int
    custom_id: str | None
    inputs: Any
    error: Document | None
    outcome: Outcome | None
    status: ExecutionStatus
    duration_ms: float | None


_FEW = f"Once the batch has ended, where it has at most {MOST_ITEMS} items; else null."


class Batch(View):
    """Many runs of a program, and what has come of them so far."""

    batch_id: UUID
    batch_execution_id: UUID = Field(description="The same as batch_id.")
    program_id: UUID
    program_revision: int
    status: BatchStatus
    retry_of: UUID | None
    batch_options: Document
    total_items: int
    pending_items: int
    running_items: int
    successful_items: int
    failed_items: int
    cancelled_items: int
    success_rate: float | None
    progress: BatchProgress
    total_duration_ms: float | None
    average_item_duration_ms: float
    percentiles: Percentiles
    usage: Usage
    retries: int
    summary: BatchSummary
    successful_outputs: list[BatchSuccess] | None = Field(description=_FEW)
    failures: list[BatchFailure] | None = Field(description=_FEW)
    error: Document | None
    metadata: Document
    created_at: Instant
    started_at: Instant | None
    finished_at: Instant | None


class BatchList(View):
    """One page of batches, newest first; their items are left out."""

    items: list[Batch]
    next_cursor: str | None


class BatchResult(View):
    """What came of one item."""

    index: int
    custom_id: str | None
    execution_id: UUID
    status: ExecutionStatus
    outcome: Outcome | None
    outputs: Document | None
    error: Document | None
    duration_ms: float | None
    inputs: Any = None
    attempts: list[Attempt] | None = None
    usage: Usage | None = None


class BatchResults(View):
    """One page of results, in order of index."""

    items: list[BatchResult]
    next_cursor: str | None


_READ: Mapping[str, Callable[[Any], Any]] = {
    **{name: attrgetter(name) for name in BatchResult.model_fields},
    "index": attrgetter("item_index"),
    "execution_id": attrgetter("id"),
}


def result_document(row: ItemResult, hidden: Collection[str]) -> Document:
    """Show an item as a BatchResult, without the parts that are hidden."""
    return {name: read(row) for name, read in _READ.items() if name not in hidden}


def batch_document(report: BatchReport) -> Document:
    """Show a batch as a Batch, with its items where the report has them."""
    return {
        **document_of(report),
        "successful_outputs": _shown(report.successes, BatchSuccess),
        "failures": _shown(report.failures, BatchFailure),
    }


def _shown(rows: Collection[ExecutionRow] | None, view: type[View]) -> list[Document] | None:
    if rows is None:
        return None
    readers = {name: _READ.get(name, attrgetter(name)) for name in view.model_fields}
    return [{name: read(row) for name, read in readers.items()} for row in rows]
