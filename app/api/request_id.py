"""Every request has an id, which is logged, recorded and returned, and a trace, which is logged."""

import re
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.trace_context import trace_id_of
from app.telemetry import current_request_id, current_trace_id
from app.telemetry.tracing import span_trace_id

_USABLE = re.compile(r"[\x21-\x7e]{1,200}")


class RequestIdMiddleware:
    """Puts the ids into the log's context; the request's also into the state and on the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or pass the lifespan through."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _USABLE.fullmatch(given) else str(uuid4())
        scope.setdefault("state", {})["request_id"] = request_id
        current_request_id.set(request_id)
        current_trace_id.set(span_trace_id() or trace_id_of(headers.getlist("traceparent")))

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        return await self._app(scope, receive, send_with_id)
