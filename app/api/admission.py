"""How many requests may run at once: one more is told to come again, before it costs anything."""

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.paths import EVENTS, WATCHED
from app.api.problems import problem_response
from app.errors import ServerBusyError

RETRY_AFTER_S = 1.0


class AdmissionMiddleware:
    """Counts what runs, and refuses what is over the limit.

    Who listens to events is not counted: thousands may, and would keep out everybody else.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or pass the lifespan through."""
        if scope["type"] != "http" or _is_free(scope["path"]):
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


def _is_free(path: str) -> bool:
    return path in WATCHED or path.endswith(EVENTS)
