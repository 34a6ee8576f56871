"""The routes of what batches have told their receivers."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Response, status
from pydantic import Field

from app.api.auth import EXECUTE, READ_RUNS, needs
from app.api.contract_route import ContractRoute
from app.api.deps import BatchId, PageDep, RuntimeDep
from app.api.problems import problem_responses
from app.api.responses import JSONResponse
from app.api.views import Document, Instant, View
from app.errors import BatchNotFoundError, DeliveryNotFoundError
from app.models import WebhookDelivery
from app.models.states import DeliveryStatus

router = APIRouter(prefix="/v1", tags=["batches"], route_class=ContractRoute)

DeliveryId = Annotated[UUID, Path()]


class DeliveryAttempt(View):
    """One POST: the receiver's status and the beginning of its answer, or what went wrong."""

    started_at: Instant
    duration_ms: float
    status: int | None
    answer: str | None
    error: str | None


class Delivery(View):
    """An event of a batch for its receiver, and what came of it."""

    delivery_id: UUID = Field(description="Its `webhook-id`, the same at each attempt.")
    batch_id: UUID
    sequence: int
    type: str = Field(examples=["batch.completed"])
    status: DeliveryStatus
    attempts: list[DeliveryAttempt]
    due_at: Instant | None = Field(description="When it is attempted next; null once it is over.")
    created_at: Instant
    finished_at: Instant | None


class DeliveryList(View):
    """One page of deliveries, newest first."""

    items: list[Delivery]
    next_cursor: str | None


@router.get(
    "/batches/{batch_id}/deliveries",
    response_model=DeliveryList,
    responses=problem_responses(BatchNotFoundError),
)
@needs(READ_RUNS)
async def list_batch_deliveries(batch_id: BatchId, runtime: RuntimeDep, page: PageDep) -> Response:
    """What the receiver has been told, the newest first: all ends, and of the progress the last."""
    async with runtime.database.transaction() as tx:
        await tx.batches.get(batch_id)
        found = await tx.webhook_deliveries.list_page(batch_id, page)
    items = [_document(delivery) for delivery in found.items]
    return JSONResponse({"items": items, "next_cursor": found.next_cursor})


@router.post(
    "/batches/{batch_id}/deliveries/{delivery_id}/redeliver",
    status_code=status.HTTP_202_ACCEPTED,
    response_model=Delivery,
    responses=problem_responses(DeliveryNotFoundError),
)
@needs(EXECUTE)
async def redeliver_webhook(
    batch_id: BatchId, delivery_id: DeliveryId, runtime: RuntimeDep
) -> Response:
    """Attempt a delivery once more, under the same id, whatever became of it before."""
    async with runtime.database.transaction() as tx:
        delivery = await tx.webhook_deliveries.redeliver(batch_id, delivery_id)
    return JSONResponse(_document(delivery), status.HTTP_202_ACCEPTED)


def _document(delivery: WebhookDelivery) -> Document:
    is_over = delivery.status != DeliveryStatus.PENDING
    shown: dict[str, Any] = {name: getattr(delivery, name) for name in _SAME}
    return {**shown, "delivery_id": delivery.id, "due_at": None if is_over else delivery.due_at}


_SAME = Delivery.model_fields.keys() - {"delivery_id", "due_at"}
