"""Which names this server answers to, where the operator has said so."""

from collections.abc import Sequence

from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.paths import WATCHED
from app.api.problems import problem_response
from app.errors import MisdirectedRequestError


class HostMiddleware:
    """Refuses requests to other hosts; probes come by addresses, and are always answered."""

    def __init__(self, app: ASGIApp, allowed: Sequence[str]) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or pass the lifespan through."""
        is_answered = scope["type"] != "http" or scope["path"] in WATCHED
        if is_answered or _name(Headers(scope=scope).get("host", "")) in self._names:
            return await self._app(scope, receive, send)
        error = MisdirectedRequestError("This server does not answer to that host.")
        return await problem_response(Request(scope), error)(scope, receive, send)


def _name(host: str) -> str:
    """Give a host without its port; an address of IPv6 stands in brackets."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()
