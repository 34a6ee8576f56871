"""What a request hears while the process comes to its end."""

import asyncio

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import problem_response
from app.errors import ShuttingDownError
from app.runtime import Runtime

RETRY_AFTER_S = 1.0


class DrainingMiddleware:
    """Lets connections go with their next answer, and tells cancelled requests why."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or pass the lifespan through."""
        runtime: Runtime | None = scope["app"].state.runtime
        if scope["type"] != "http" or runtime is None:
            return await self._app(scope, receive, send)
        has_answered = False

        async def send_the_last(message: Message) -> None:
            nonlocal has_answered
            has_answered = True
            if message["type"] == "http.response.start" and runtime.drain.has_begun:
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        try:
            return await self._app(scope, receive, send_the_last)
        except asyncio.CancelledError:
            if has_answered or not runtime.drain.has_begun:
                raise
            error = ShuttingDownError(
                "The process stopped before this was done.", retry_after_s=RETRY_AFTER_S
            )
            answer = problem_response(Request(scope), error)
            return await answer(scope, receive, send_the_last)
