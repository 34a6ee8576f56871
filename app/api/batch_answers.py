"""How a batch is answered: as it stands, accepted, or after its end where the client waits."""

from typing import Any

from fastapi import Request, Response, status

from app.api.batch_views import Batch, batch_document
from app.api.disconnect import until_disconnect
from app.api.prefer import ANSWER_HEADERS, APPLIED, wait_of
from app.api.responses import JSONResponse
from app.models import IdempotencyKey
from app.runtime import Runtime
from app.stores.batches import BatchReading

ACCEPTED: dict[int | str, dict[str, Any]] = {
    status.HTTP_202_ACCEPTED: {
        "model": Batch,
        "description": "Accepted: its items run",
        "headers": ANSWER_HEADERS,
    },
    status.HTTP_200_OK: {"model": Batch, "description": "It has ended within the time to wait"},
}
"""The answers to a request that makes a batch, in OpenAPI."""


async def replayed(runtime: Runtime, kept: IdempotencyKey) -> BatchReading:
    """Give the batch that a request made before."""
    return await runtime.batches.wait(kept.resource_id)


async def accepted(request: Request, read: BatchReading) -> Response:
    """Answer with a batch, after its end where the client waits so long."""
    runtime: Runtime = request.app.state.runtime
    preference = wait_of(request)
    if preference.wait_s and read.batch.finished_at is None:
        waiting = runtime.batches.wait(read.id, preference.wait_s)
        read = await until_disconnect(request, waiting)
    has_ended = preference.is_async and read.batch.finished_at is not None
    code = status.HTTP_200_OK if has_ended else status.HTTP_202_ACCEPTED
    answer = await shown(runtime, read, code)
    answer.headers["Location"] = f"/v1/batches/{read.id}"
    if preference.applied:
        answer.headers[APPLIED] = preference.applied
    return answer


async def shown(runtime: Runtime, read: BatchReading, code: int = status.HTTP_200_OK) -> Response:
    """Answer with a batch as it stands."""
    return JSONResponse(batch_document(await runtime.batches.report(read)), code)
