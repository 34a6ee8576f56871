"""A transport that answers for another Dspatch as a test says, and keeps what was asked."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from typing_extensions import override

from app.adapters.remote import RemoteAdapter
from app.adapters.setup import AdapterSetup
from app.policies.clock import Clock
from tests.support.clock import ManualClock

USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7, "lm_calls": 1}
OUTPUTS = {"answer": "Fine.", "mood": "good", "score": 0.5}
EXECUTION = {"execution_id": "e1", "outputs": OUTPUTS, "usage": USAGE}


class Body(httpx.AsyncByteStream):
    """A body in pieces of a mebibyte; `pieces` counts those that were read."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.pieces = 0

    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.content), 1 << 20):
            self.pieces += 1
            yield self.content[start : start + (1 << 20)]


@dataclass(frozen=True)
class Answer:
    """An answer, as often as it is asked for."""

    status: int
    body: Body
    headers: Mapping[str, str]

    def response(self) -> httpx.Response:
        """Give it as transports do."""
        return httpx.Response(self.status, stream=self.body, headers=self.headers)


Reply = Answer | Exception | Callable[[httpx.Request], Awaitable[Answer]]


def raw(status: int, body: bytes, **headers: str) -> Answer:
    """Give an answer with this body."""
    names = {name.replace("_", "-"): of for name, of in headers.items()}
    return Answer(status, Body(body), names)


def replies(status: int, document: Any = None, **headers: str) -> Answer:
    """Give an answer with a JSON body."""
    return raw(status, json.dumps(document).encode(), **headers)


def problem(status: int, slug: str, **members: Any) -> Answer:
    """Give a problem document."""
    document = {"type": f"/problems/{slug}", "title": "…", "status": status, "instance": "r1"}
    return replies(status, {**document, "detail": "no luck", **members})


def a_program(status: str = "ready", **members: Any) -> Mapping[str, Any]:
    """Give a program as the routes show it."""
    return {"program_id": "p1", "name": "triage", "status": status, **members}


class Stub(httpx.AsyncBaseTransport):
    """Answers each route with the next of its replies; the last one stays."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.routes: dict[str, list[Reply]] = {
            "GET /v1/programs": [replies(200, {"items": [a_program()]})],
            "POST /v1/programs/p1/executions": [replies(200, EXECUTION)],
        }

    def on(self, route: str, *answers: Reply) -> None:
        """Answer a route so."""
        self.routes[route] = list(answers)

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        of_route = self.routes[_route(request)]
        reply = of_route.pop(0) if len(of_route) > 1 else of_route[0]
        if isinstance(reply, Exception):
            raise reply
        answer = reply if isinstance(reply, Answer) else await reply(request)
        return answer.response()

    def sent(self, route: str) -> list[httpx.Request]:
        """Give what was asked of a route."""
        return [of for of in self.requests if _route(of) == route]

    def body(self, route: str) -> Any:
        """Give the last body that a route got."""
        return json.loads(self.sent(route)[-1].content)


def _route(request: httpx.Request) -> str:
    return f"{request.method} {request.url.path.removeprefix('/base')}"


def an_adapter(stub: Stub, clock: Clock | None = None, **options: Any) -> RemoteAdapter:
    """Make an adapter whose other Dspatch is the stub."""
    given = {"url": "https://far.example/base/", **options}
    setup = AdapterSetup("eu", given, environment={"KEY": "dsp_x"}, clock=clock or ManualClock())
    return RemoteAdapter(setup, stub)
