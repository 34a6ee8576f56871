"""The edge, on real connections to a server of this process."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from app.api.edge import EdgeConfig, EdgeProtocol
from app.settings import LimitsSettings
from tests.support.wait import wait_until

Application = Callable[[Scope, Receive, Send], Awaitable[None]]

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
SOON = 0.05


class Client(NamedTuple):
    """The client's end of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Read one answer: status, headers in small letters, body."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        status, *lines = head.strip().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        body = await self.reader.readexactly(int(headers["content-length"]))
        return int(status.split(" ")[1]), headers, body

    async def is_closed(self) -> bool:
        """Wait for the end, before which nothing may come."""
        return await self.reader.read() == b""


class Edge:
    """A server with these limits; it answers what it has read of the body."""

    def __init__(self, port: int, state: ServerState) -> None:
        self.port = port
        self.state = state
        self.clients: list[Client] = []

    async def connect(self, *sent: bytes) -> Client:
        """Connect, and send something."""
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        self.clients.append(client)
        client.writer.writelines(sent)
        return client


async def echo(_scope: Scope, receive: Receive, send: Send) -> None:
    """Answer the body, or nothing to a client that has gone."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        if not message["more_body"]:
            break
    length = str(len(body)).encode()
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-length", length)],
        }
    )
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def an_edge(application: Application = echo, **limits: float) -> AsyncIterator[Edge]:
    """Listen until the block ends."""
    config = EdgeConfig(application, LimitsSettings(**limits), log_config=None)  # type: ignore[arg-type]
    state, loop = ServerState(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: EdgeProtocol(config, state, {}), "127.0.0.1", 0)
    edge = Edge(server.sockets[0].getsockname()[1], state)
    yield edge
    for client in edge.clients:
        client.writer.close()
    await wait_until(lambda: not state.connections)
    server.close()
    await server.wait_closed()


def _problem(answer: tuple[int, dict[str, str], bytes]) -> tuple[int, str]:
    status, headers, body = answer
    document: dict[str, Any] = json.loads(body)
    assert headers["content-type"] == "application/problem+json"
    assert headers["connection"] == "close"
    assert headers["x-request-id"] == document["instance"]
    return status, document["type"]


async def test_requests_are_answered_one_after_the_other() -> None:
    """On one connection, also where one comes before the last is answered."""
    async with an_edge() as edge:
        client = await edge.connect(HEAD, b"abc", b"def", GET)
        assert (await client.answer())[2] == b"abcdef"
        assert (await client.answer())[2] == b""
        client.writer.write(HEAD + b"ghijkl")
        assert (await client.answer())[2] == b"ghijkl"


async def test_a_silent_connection_is_closed() -> None:
    """Without a word."""
    async with an_edge(header_seconds=SOON) as edge:
        assert await (await edge.connect()).is_closed()


async def test_headers_that_do_not_end_are_not_waited_for() -> None:
    """However many bytes come meanwhile; of a second request as well."""
    async with an_edge(header_seconds=0.3) as edge:
        client = await edge.connect(GET)
        assert (await client.answer())[0] == 200
        client.writer.write(b"GET / HTTP/1.1\r\nHost:")
        assert _problem(await client.answer()) == (408, "/problems/request-timeout")
        assert await client.is_closed()


@pytest.mark.parametrize(
    "head",
    [
        HEAD[:-2] + b"Long: " + b"a" * 300 + b"\r\n\r\nabcdef",
        b"GET /" + b"a" * 300 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nEndless: " + b"a" * 300,
    ],
    ids=["a header", "the path", "without an end"],
)
async def test_a_head_has_its_longest_size(head: bytes) -> None:
    """Over it the request is refused, and what follows is not read."""
    async with an_edge(header_bytes=256) as edge:
        client = await edge.connect(head, GET)
        assert _problem(await client.answer()) == (431, "/problems/head-too-large")
        assert await client.is_closed()


async def test_a_body_that_drips_is_not_waited_for() -> None:
    """The application hears that the client is gone."""
    ended = asyncio.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await echo(scope, receive, send)
        ended.set()

    async with an_edge(application, body_seconds=SOON, body_bytes_per_second=100) as edge:
        client = await edge.connect(HEAD, b"ab")
        assert _problem(await client.answer()) == (408, "/problems/request-timeout")
        await ended.wait()
        assert await client.is_closed()


async def test_a_body_that_comes_fast_enough_may_take_its_time() -> None:
    """As long as each part of the time brings its part."""
    async with an_edge(body_seconds=0.2, body_bytes_per_second=5) as edge:
        client = await edge.connect(HEAD)
        for letter in b"abcdef":
            client.writer.write(bytes([letter]))
            await asyncio.sleep(0.1)
        assert (await client.answer())[2] == b"abcdef"


async def test_a_body_that_we_do_not_take_is_not_late() -> None:
    """Neither where the application reads slowly, nor where the client was not told to send."""
    may_read = asyncio.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await may_read.wait()
        await echo(scope, receive, send)

    size = 1_000_000
    long = f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n".encode()
    polite = HEAD[:-2] + b"Expect: 100-continue\r\n\r\n"
    async with an_edge(application, body_seconds=SOON) as edge:
        waits, asks = await edge.connect(long, b"a" * size), await edge.connect(polite)
        await wait_until(lambda: len(edge.state.tasks) == 2)
        await asyncio.sleep(5 * SOON)
        may_read.set()
        assert await asks.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        asks.writer.write(b"abcdef")
        assert (await asks.answer())[2] == b"abcdef"
        assert len((await waits.answer())[2]) == size


async def test_an_answer_that_has_begun_is_not_answered_again() -> None:
    """The connection is closed alone."""

    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    async with an_edge(application, body_seconds=SOON) as edge:
        client = await edge.connect(HEAD, b"a")
        assert (await client.answer())[2] == b"ok"
        assert await client.is_closed()


async def test_a_body_that_nobody_wants_is_not_read_to_its_end() -> None:
    """However fast it comes, once its request is answered; the client can read why."""

    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": b"no"})

    endless = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with an_edge(application, body_seconds=SOON, body_bytes_per_second=1) as edge:
        client = await edge.connect(endless)
        sending = asyncio.create_task(_send_for_ever(client.writer))
        assert (await client.answer())[::2] == (413, b"no")
        assert await client.is_closed()
        sending.cancel()
        await asyncio.wait({sending})


async def _send_for_ever(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"400\r\n" + b"a" * 1_024 + b"\r\n")
        await writer.drain()
        await asyncio.sleep(0)


async def test_connections_over_the_limit_are_told_to_come_again() -> None:
    """At once; when one of the others has gone, there is room again."""
    async with an_edge(connections=1) as edge:
        first = await edge.connect(GET)
        assert (await first.answer())[0] == 200
        refused = await edge.connect(GET)
        answer = await refused.answer()
        assert _problem(answer) == (503, "/problems/server-busy")
        assert answer[1]["retry-after"] == "1"
        assert await refused.is_closed()
        refused.writer.close()
        first.writer.close()
        await wait_until(lambda: not edge.state.connections)
        assert (await (await edge.connect(GET)).answer())[0] == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\na",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nno number\r\n",
    ],
    ids=["TLS", "two lengths", "a length beside chunks", "no chunk"],
)
async def test_what_is_no_request_is_a_problem(sent: bytes) -> None:
    """In the form of all others."""
    async with an_edge() as edge:
        client = await edge.connect(sent)
        assert _problem(await client.answer()) == (400, "/problems/malformed-request")
        assert await client.is_closed()


async def test_a_refused_client_that_stays_is_closed() -> None:
    """It may read why for a moment, and whatever it sends is not heard."""
    async with an_edge(header_bytes=64) as edge:
        client = await edge.connect(b"GET /" + b"a" * 100)
        await client.answer()
        client.writer.write(GET)
        await wait_until(lambda: not edge.state.connections)
