"""The route by which clients listen to a batch: server-sent events, on any replica."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response, status
from starlette.responses import StreamingResponse

from app.actions.batch_processing.events import BatchEvent
from app.api.auth import READ_RUNS, needs
from app.api.contract_route import ContractRoute
from app.api.deps import BatchId, RuntimeDep
from app.api.problems import problem_responses
from app.errors import BatchNotFoundError

router = APIRouter(prefix="/v1", tags=["batches"], route_class=ContractRoute)

EVENT_STREAM = "text/event-stream"
KEEP_ALIVE = b": nothing new\n\n"

_EXAMPLE = 'id: 1207\nevent: progress\ndata: {"batch_id": "…", "status": "running", …}\n\n'
_DESCRIBED: dict[int | str, dict[str, Any]] = {
    status.HTTP_200_OK: {
        "description": "`progress` events, then `ended`; `data` is the batch without results",
        "content": {EVENT_STREAM: {"schema": {"type": "string"}, "example": _EXAMPLE}},
    },
    status.HTTP_204_NO_CONTENT: {
        "description": "The batch had ended by the event that was heard last: do not come again"
    },
}

LastEventId = Annotated[
    int,
    Header(
        alias="last-event-id",
        ge=0,
        le=2**63 - 1,
        description="The `id` that was heard last: what came after it is told.",
    ),
]


@router.get(
    "/batches/{batch_id}/events",
    response_class=StreamingResponse,
    responses=_DESCRIBED | problem_responses(BatchNotFoundError),
)
@needs(READ_RUNS)
async def stream_batch_events(
    batch_id: BatchId, runtime: RuntimeDep, last_event_id: LastEventId = 0
) -> Response:
    """The batch as it stands, then whenever it has changed, at most once a second, to its end."""
    events = await runtime.batches.listen(batch_id, last_event_id)
    if events is None:
        return Response(status_code=status.HTTP_204_NO_CONTENT)
    unbuffered = {"X-Accel-Buffering": "no"}
    return StreamingResponse(_written(events), media_type=EVENT_STREAM, headers=unbuffered)


async def _written(events: AsyncIterator[BatchEvent | None]) -> AsyncIterator[bytes]:
    async for event in events:
        yield KEEP_ALIVE if event is None else _text(event)


def _text(event: BatchEvent) -> bytes:
    name = b"ended" if event.is_last else b"progress"
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.sequence, name, event.text)
