"""The engine for OpenAI-compatible servers: what it sends, and what it makes of each answer."""

import asyncio
import socket
from collections.abc import Mapping
from typing import Any

import pytest
from dspy import lm15  # type: ignore[import-untyped]

from app.adapters.dspy.endpoints import Endpoint
from app.adapters.dspy.engine import BlockingFace, ChatCompletionsEngine
from app.adapters.dspy.servers import ModelServers
from tests.adapters.dspy_adapters import KEY, a_request, unheard
from tests.support import model_server
from tests.support.clock import ManualClock
from tests.support.model_server import Answer, ModelServer
from tests.support.wait import wait_until


async def error_of(engine: ChatCompletionsEngine) -> Any:
    """Make a call that fails, and give the error."""
    with pytest.raises(lm15.LM15Error) as caught:
        await engine.complete(a_request())
    return caught.value


async def test_reads_text_and_usage(engine: ChatCompletionsEngine, server: ModelServer) -> None:
    """The answer is read with its tokens."""
    server.script(model_server.completion("Well."))
    response = await engine.complete(a_request())
    assert (response.text, response.usage.input_tokens, response.usage.output_tokens) == (
        "Well.",
        11,
        7,
    )


def refused(status: int, /, **error: Any) -> Answer:
    """Answer with an error as OpenAI words it."""
    return model_server.status(status, {"error": error})


FAULTS: Mapping[str, tuple[Answer, type[Exception], int | None]] = {
    "bad request": (model_server.status(400), lm15.InvalidRequestError, 400),
    "no key": (model_server.status(401), lm15.AuthError, 401),
    "no credit": (model_server.status(402), lm15.BillingError, 402),
    "forbidden": (model_server.status(403), lm15.AuthError, 403),
    "not found": (model_server.status(404), lm15.InvalidRequestError, 404),
    "slow request": (model_server.status(408), lm15.TimeoutError, 408),
    "large request": (model_server.status(413), lm15.InvalidRequestError, 413),
    "unprocessable": (model_server.status(422), lm15.InvalidRequestError, 422),
    "rate limit": (model_server.status(429), lm15.RateLimitError, 429),
    "server error": (model_server.status(500), lm15.ServerError, 500),
    "bad gateway": (model_server.html(502), lm15.ServerError, 502),
    "unavailable": (model_server.status(503), lm15.ServerError, 503),
    "gateway timeout": (model_server.status(504), lm15.ServerError, 504),
    "overloaded": (model_server.status(529), lm15.ServerError, 529),
    "redirect": (
        model_server.status(302, headers={"Location": "/v1/models"}),
        lm15.ServerError,
        302,
    ),
    "context length of OpenAI": (
        refused(400, code="context_length_exceeded"),
        lm15.ContextLengthError,
        400,
    ),
    "context length of llama.cpp": (
        refused(400, type="exceed_context_size_error", code=400),
        lm15.ContextLengthError,
        400,
    ),
    "context length of vLLM": (
        model_server.status(400, {"object": "error", "message": "the maximum context length is 8"}),
        lm15.ContextLengthError,
        400,
    ),
    "context length of a broken server": (
        refused(500, code="context_length_exceeded"),
        lm15.ServerError,
        500,
    ),
    "page": (model_server.html(), lm15.ServerError, 200),
    "nothing": (model_server.raw(b""), lm15.ServerError, 200),
    "half a document": (model_server.raw(b'{"choices": [{"mess'), lm15.ServerError, 200),
    "no UTF-8": (model_server.raw(b"\xff\xfe\x00"), lm15.ServerError, 200),
    "depth": (model_server.raw(b"[" * 100_000), lm15.ServerError, 200),
    "no number": (model_server.raw(b'{"choices": NaN}'), lm15.ServerError, 200),
    "null": (model_server.status(200, None), lm15.ServerError, 200),
    "a list": (model_server.status(200, []), lm15.ServerError, 200),
    "no choices": (model_server.status(200, {"choices": []}), lm15.ServerError, 200),
    "no message": (
        model_server.status(200, {"choices": [{"message": "hi"}]}),
        lm15.ServerError,
        200,
    ),
    "error with 200": (
        model_server.status(200, {"error": {"message": "no"}}),
        lm15.ServerError,
        200,
    ),
    "wrong usage": (
        model_server.completion("x", usage={"prompt_tokens": "many"}),
        lm15.ServerError,
        200,
    ),
    "large answer": (model_server.huge(17), lm15.ServerError, None),
    "gzip bomb": (model_server.gzip_bomb(64), lm15.ServerError, None),
    "no gzip": (
        model_server.raw(b"not packed", headers={"Content-Encoding": "gzip"}),
        lm15.ServerError,
        None,
    ),
    "unknown packing": (
        model_server.raw(b"x", headers={"Content-Encoding": "br"}),
        lm15.ServerError,
        None,
    ),
    "long header": (
        model_server.raw(b"{}", headers={"X-Long": "y" * 50_000}),
        lm15.ServerError,
        None,
    ),
    "reset": (model_server.reset(), lm15.TransportError, None),
    "half an answer": (model_server.half(), lm15.TransportError, None),
}


@pytest.mark.parametrize(("answer", "kind", "status"), FAULTS.values(), ids=FAULTS)
async def test_knows_every_way_to_fail(
    engine: ChatCompletionsEngine,
    server: ModelServer,
    answer: Answer,
    kind: type[Exception],
    status: int | None,
) -> None:
    """Whatever a server answers is one of DSPy's own errors, without a second call."""
    server.script(answer)
    error = await error_of(engine)
    assert (type(error), error.status) == (kind, status)
    assert len(server.calls) == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"message": "Too warm.", "code": "hot"}}, "Too warm."),
        ({"error": "Too warm."}, "Too warm."),
        ({"message": "Too warm."}, "Too warm."),
        ({"detail": "Too warm."}, "Too warm."),
        ("Too warm.", "Too warm."),
        ({"detail": [{"loc": ["body"]}]}, "status 422"),
        (["Too warm."], "status 422"),
    ],
)
async def test_quotes_the_server(
    engine: ChatCompletionsEngine, server: ModelServer, body: Any, said: str
) -> None:
    """The server's own words are found wherever it puts them."""
    server.script(model_server.status(422, body))
    assert (await error_of(engine)).message == said


async def test_tells_no_secret(engine: ChatCompletionsEngine, server: ModelServer) -> None:
    """A server that repeats the key or its address is not quoted with them."""
    words = f"the key {KEY} is bad, see {server.base_url}/keys"
    server.script(refused(400, message=words, code=KEY))
    error = await error_of(engine)
    assert error.message == "the key … is bad, see …"
    assert error.provider_code == "…"


async def test_says_how_long_to_wait(engine: ChatCompletionsEngine, server: ModelServer) -> None:
    """Rate limits and overload carry the server's wish, by the engine's clock."""
    server.script(
        model_server.status(429, headers={"retry-after-ms": "1500"}),
        model_server.status(503, headers={"Retry-After": "Mon, 05 Jan 2026 00:00:30 GMT"}),
        model_server.status(429, headers={"Retry-After": "1e9"}),
    )
    waits = [(await error_of(engine)).retry_after for _ in range(3)]
    assert waits == [1.5, 30, 60]


async def test_cannot_reach_a_closed_port(servers: ModelServers) -> None:
    """A server that is not there is a failed connection."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        base_url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        engine = ChatCompletionsEngine(Endpoint(base_url, "small"), servers, ManualClock(), unheard)
        assert type(await error_of(engine)) is lm15.TransportError


async def test_waits_for_a_connection_for_a_while_only(servers: ModelServers) -> None:
    """A server that does not take connections is a failed connection, soon."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.settimeout(0)
            one.connect_ex(address)
        endpoint = Endpoint(f"http://127.0.0.1:{address[1]}/v1", "small")
        engine = ChatCompletionsEngine(endpoint, servers, ManualClock(), unheard)
        assert type(await error_of(engine)) is lm15.TransportError
        for one in waiting:
            one.close()


async def test_closes_the_connection_of_a_cancelled_call(
    engine: ChatCompletionsEngine, server: ModelServer
) -> None:
    """A server learns that nobody waits any more."""
    server.script(model_server.hang())
    running = asyncio.create_task(engine.complete(a_request()))
    await wait_until(lambda: server.in_flight == 1)
    running.cancel()
    await asyncio.wait([running])
    async with asyncio.timeout(10):
        await server.completions[0].gone.wait()


async def test_stops_reading_what_is_too_much(
    engine: ChatCompletionsEngine, server: ModelServer
) -> None:
    """An answer beyond the limit is left in the middle, not read to its end."""
    server.script(model_server.huge(500))
    await error_of(engine)
    async with asyncio.timeout(10):
        await server.completions[0].gone.wait()


def test_does_not_block() -> None:
    """The way without `await` is closed: it would stop every other call."""
    with pytest.raises(lm15.UnsupportedFeatureError):
        BlockingFace().complete(a_request())


def test_asks_no_transport_of_lm15(engine: ChatCompletionsEngine) -> None:
    """The object that writes requests cannot send them."""
    with pytest.raises(lm15.TransportError):
        engine._wire.complete(a_request())


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the answer is not JSON: it is empty"),
        (b"<h1>Go \xff away</h1>", "the answer is not JSON: <h1>Go \ufffd away</h1>"),
        (f"{KEY} is bad".encode(), "the answer is not JSON: \u2026 is bad"),
        (b"x" * 100_000, "the answer is not JSON: " + "x" * 499 + "\u2026"),
    ],
)
async def test_quotes_what_is_no_json(
    engine: ChatCompletionsEngine, server: ModelServer, body: bytes, said: str
) -> None:
    """What came in place of an answer is told, cut and without secrets."""
    server.script(model_server.raw(body))
    assert (await error_of(engine)).message == said
