"""Every request is counted by its route, and those of the API leave a line in the log."""

import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.paths import is_of_api
from app.policies.clock import Clock, SystemClock
from app.runtime import Runtime
from app.telemetry.logs import with_fields

UNMATCHED = "unmatched"
"""The route of a request that none takes."""

logger = logging.getLogger(__name__)


class ObservationMiddleware:
    """Measures a request to the end of its answer; one that breaks off counts as 500."""

    def __init__(self, app: ASGIApp, clock: Clock | None = None) -> None:
        self._app = app
        self._clock = clock or SystemClock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or pass the lifespan through."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        began = self._clock.monotonic()
        status = 500

        async def send_and_look(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            return await self._app(scope, receive, send_and_look)
        finally:
            _observe(scope, status, self._clock.monotonic() - began)


def _observe(scope: Scope, status: int, duration_s: float) -> None:
    method, route = scope["method"], getattr(scope.get("route"), "path", UNMATCHED)
    runtime: Runtime | None = scope["app"].state.runtime
    if runtime is not None:
        runtime.metrics.http_answered(route, method, status, duration_s)
    if is_of_api(scope):
        fields = with_fields(
            method=method, route=route, status=status, duration_ms=round(duration_s * 1_000, 3)
        )
        logger.info("%s %s %d", method, route, status, extra=fields)
