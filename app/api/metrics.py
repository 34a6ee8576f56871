"""The figures of this process, for Prometheus."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from app.api.auth import METRICS, needs
from app.api.contract_route import ContractRoute
from app.api.deps import RuntimeDep

router = APIRouter(tags=["probes"], route_class=ContractRoute)

_FORMATS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Every figure that there is, with a sentence on each.",
        "content": {"application/openmetrics-text": {"schema": {"type": "string"}}},
    }
}


@router.get("/metrics", response_class=PlainTextResponse, responses=_FORMATS)
@needs(METRICS)
def get_metrics(runtime: RuntimeDep, request: Request) -> Response:
    """Write the figures as Prometheus' text, or as OpenMetrics where `Accept` asks for it."""
    page, media_type = runtime.metrics.page(request.headers.get("accept", ""))
    return Response(page, headers={"Content-Type": media_type})
