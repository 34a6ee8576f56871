"""How many requests may run at once: one more is told to come again, before it costs anything."""

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.paths import WATCHED
from app.api.problems import problem_response
from app.errors import ServerBusyError

RETRY_AFTER_S = 1.0


class AdmissionMiddleware:
    """Counts what runs, and refuses what is over the limit."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or pass the lifespan through."""
        if scope["type"] != "http" or scope["path"] in WATCHED:
            return await self._app(scope, receive, send)
        if self._running >= self._most:
            error = ServerBusyError(
                f"{self._most} requests are running.", retry_after_s=RETRY_AFTER_S
            )
            return await problem_response(Request(scope), error)(scope, receive, send)
        self._running += 1
        try:
            return await self._app(scope, receive, send)
        finally:
            self._running -= 1
