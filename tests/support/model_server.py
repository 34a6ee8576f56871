"""An OpenAI-compatible model server on loopback that answers as a test says, and keeps a journal.

It answers well by itself: with JSON that fits the schema of the request, where texts repeat the
first input. `script` puts other answers in front, one for each call to come; `always` replaces the
good answer itself.
"""

import asyncio
import gzip
import json
import re
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

_FIRST_INPUT = re.compile(r"\[\[ ## \w+ ## \]\]\n(.*?)\n\n(?:\[\[ ## |Respond with)", re.DOTALL)

_PLAIN = {"integer": 1, "number": 0.5, "boolean": True, "null": None}

USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


@dataclass
class Call:
    """A call as the server saw it; `gone` is set when the client closed the connection."""

    path: str
    headers: Mapping[str, str]
    body: Any
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def prompt(self) -> str:
        """The text of the last message."""
        return str(self.body["messages"][-1]["content"])


Answer = Callable[[web.Request, Call], Awaitable[web.StreamResponse]]


class ModelServer:
    """The server; `async with` starts and stops it, on a free port unless one is given."""

    def __init__(self, port: int = 0) -> None:
        self._port = port
        self.calls: list[Call] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self._scripted: deque[Answer] = deque()
        self._always: Answer = well_formed()
        self._models: Answer = MODELS
        self.base_url = ""

    def script(self, *answers: Answer) -> None:
        """Answer the next calls so, one each."""
        self._scripted.extend(answers)

    def always(self, answer: Answer) -> None:
        """Answer every call so that nothing is scripted for."""
        self._always = answer

    def list_models(self, answer: Answer) -> None:
        """Answer the listing of models so."""
        self._models = answer

    def forget(self) -> None:
        """Be as if nothing had been called or scripted yet."""
        self.calls.clear()
        self._scripted.clear()
        self._always, self._models = well_formed(), MODELS

    @property
    def completions(self) -> list[Call]:
        """The calls for a completion."""
        return [call for call in self.calls if call.path.endswith("/chat/completions")]

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/v1/models", self._list)
        # A handler is cancelled when its client goes away: that is how the journal knows.
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.base_url = f"http://{host}:{port}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        call = Call(request.path, request.headers, json.loads(await request.read()))
        answer = self._scripted.popleft() if self._scripted else self._always
        return await self._answer(request, call, answer)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, Call(request.path, request.headers, None), self._models)

    async def _answer(self, request: web.Request, call: Call, answer: Answer) -> web.StreamResponse:
        self.calls.append(call)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await answer(request, call)
        except (asyncio.CancelledError, ConnectionError):
            call.gone.set()
            raise
        finally:
            self.in_flight -= 1


def well_formed() -> Answer:
    """Answer with JSON that fits the request's schema."""

    async def answer(request: web.Request, call: Call) -> web.StreamResponse:
        schema = call.body.get("response_format", {}).get("json_schema", {}).get("schema", {})
        found = _FIRST_INPUT.search(call.prompt)
        values = _value(schema, schema.get("$defs", {}), found[1] if found else "text")
        return await completion(json.dumps(values))(request, call)

    return answer


def outputs(**values: Any) -> Answer:
    """Answer with these outputs, as JSON."""
    return completion(json.dumps(values))


def completion(text: str | None, usage: Mapping[str, Any] | None = USAGE) -> Answer:
    """Answer with this text as the model's."""
    message = {"role": "assistant", "content": text}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "small",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
    }
    return status(200, body if usage is None else {**body, "usage": dict(usage)})


def status(code: int, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
    """Answer with a status, a JSON body and headers."""
    return raw(json.dumps(body).encode(), code=code, headers=headers)


def raw(
    body: bytes,
    *,
    code: int = 200,
    kind: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Answer with these bytes."""

    async def answer(_request: web.Request, _call: Call) -> web.StreamResponse:
        return web.Response(
            body=body, status=code, headers={"Content-Type": kind, **(headers or {})}
        )

    return answer


def html(code: int = 200) -> Answer:
    """Answer with a page, as gateways do."""
    return raw(b"<html><body>Bad gateway</body></html>", code=code, kind="text/html")


def gzip_bomb(mebibytes: int) -> Answer:
    """Answer with a small body that unpacks to a big one."""
    packed = gzip.compress(b" " * (mebibytes * 1024 * 1024))
    return raw(packed, headers={"Content-Encoding": "gzip"})


def huge(mebibytes: int) -> Answer:
    """Answer with a body of this size, piece by piece."""

    async def answer(request: web.Request, _call: Call) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for _ in range(mebibytes):
            await response.write(b" " * (1024 * 1024))
        return response

    return answer


def after(gate: asyncio.Event, answer: Answer) -> Answer:
    """Answer once the gate is open."""

    async def delayed(request: web.Request, call: Call) -> web.StreamResponse:
        await gate.wait()
        return await answer(request, call)

    return delayed


def hang() -> Answer:
    """Take the call and never answer."""
    return after(asyncio.Event(), well_formed())


def reset() -> Answer:
    """Break the connection without a word."""

    async def answer(request: web.Request, _call: Call) -> web.StreamResponse:
        _transport(request).abort()
        await asyncio.Event().wait()
        raise AssertionError

    return answer


def half() -> Answer:
    """Promise a body and break the connection in the middle of it."""

    async def answer(request: web.Request, _call: Call) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"choices": [')
        _transport(request).close()
        return response

    return answer


def drip(interval_s: float = 0.01) -> Answer:
    """Answer a byte at a time, without end."""

    async def answer(request: web.Request, _call: Call) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionError):
            while True:
                await response.write(b" ")
                await asyncio.sleep(interval_s)
        return response

    return answer


def _transport(request: web.Request) -> asyncio.Transport:
    transport = request.transport
    assert isinstance(transport, asyncio.Transport)
    return transport


MODELS = status(200, {"object": "list", "data": [{"id": "small"}]})
"""The listing of models, where a test wants no other."""


def _value(schema: Mapping[str, Any], definitions: Mapping[str, Any], text: str) -> Any:
    if "$ref" in schema:
        return _value(definitions[schema["$ref"].rpartition("/")[2]], definitions, text)
    if "anyOf" in schema:
        return _value(schema["anyOf"][0], definitions, text)
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            return {name: _value(of, definitions, text) for name, of in properties.items()}
        case "array":
            return [_value(schema.get("items", {}), definitions, text)]
        case kind:
            return _PLAIN.get(str(kind), text)
