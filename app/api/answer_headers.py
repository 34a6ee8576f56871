"""What stands on answers besides their id: where the time went, and how fresh they are."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.paths import is_of_api
from app.policies.clock import Clock, SystemClock
from app.telemetry import spent_ms

IS_REPLAYED = "is_replayed"
"""Says in the scope's state that the answer is one of before."""

_SECURITY = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)


class AnswerHeadersMiddleware:
    """Puts `Server-Timing` on answers, and `Cache-Control: no-store` on those of `/v1`.

    All have what keeps browsers from guessing, framing and telling. Answers that are given again
    have `Idempotency-Replayed: true`.
    """

    def __init__(self, app: ASGIApp, clock: Clock | None = None) -> None:
        self._app = app
        self._clock = clock or SystemClock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or pass the lifespan through."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        began = self._clock.monotonic()
        parts: dict[str, float] = {}
        spent_ms.set(parts)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_SECURITY]
                headers = MutableHeaders(scope=message)
                headers["Server-Timing"] = _written(parts, self._clock.monotonic() - began)
                if is_of_api(scope):
                    headers["Cache-Control"] = "no-store"
                if scope.get("state", {}).get(IS_REPLAYED):
                    headers["Idempotency-Replayed"] = "true"
            await send(message)

        return await self._app(scope, receive, send_with_headers)


def _written(parts: dict[str, float], total_s: float) -> str:
    spent = parts | {"total": total_s * 1_000}
    return ", ".join(f"{part};dur={milliseconds:.3f}" for part, milliseconds in spent.items())
