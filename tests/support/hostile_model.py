"""A model server that does what no server should, as the prompt tells it, on bare sockets.

A prompt that holds `<name>` of `FAULTS` gets that fault; `<name> once` gets it the first time and a
good answer afterwards. The journal has each call with its time.
"""

import asyncio
import json
import re
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from time import monotonic
from typing import Any, Self
from zlib import MAX_WBITS, compressobj

MEBIBYTE = 1024 * 1024
STATUSES = range(500, 530)
BIG = 200
"""Mebibytes of an answer that is too large."""

_ASKED = re.compile(r"<([a-z0-9 ,-]+?)( once)?>")

GOOD = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "small",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": json.dumps({"answer": "Fine."})},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
}


@dataclass(frozen=True)
class Call:
    """A call that came: for which fault, and when."""

    name: str
    at: float


Fault = Callable[[asyncio.StreamWriter], Awaitable[None]]


class HostileModel:
    """The server; `async with` starts and stops it."""

    def __init__(self) -> None:
        self.journal: list[Call] = []
        self.base_url = ""
        self._serving: set[asyncio.Task[None]] = set()

    def calls(self, name: str) -> list[Call]:
        """Give the calls that got, or would have got, this fault."""
        return [call for call in self.journal if call.name == name]

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._begin, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()[:2]
        self.base_url = f"http://{host}:{port}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            try:
                await self._answer(await _read(reader))(writer)
            finally:
                writer.close()

    def _answer(self, body: bytes) -> Fault:
        found = _ASKED.search(json.loads(body)["messages"][-1]["content"] if body else "")
        if found is None:
            return json_answer(GOOD)
        name, once = found[1], found[2]
        self.journal.append(Call(name, monotonic()))
        return json_answer(GOOD) if once and len(self.calls(name)) > 1 else FAULTS[name]


async def _read(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    return await reader.readexactly(int(length[1])) if length else b""


def answer(status: int, body: bytes, length: int | None = None, **headers: str) -> bytes:
    """Write an answer, or the beginning of one whose body is to be `length` bytes."""
    fields = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body) if length is None else length),
        "Connection": "close",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + body


def sends(*pieces: bytes, pause_s: float = 0) -> Fault:
    """Send pieces, with pauses before each."""

    async def fault(writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            await asyncio.sleep(pause_s)
            writer.write(piece)
            await writer.drain()

    return fault


def json_answer(document: Any, status: int = 200, **headers: str) -> Fault:
    """Answer with JSON."""
    return sends(answer(status, json.dumps(document).encode(), None, **headers))


async def hang(_: asyncio.StreamWriter) -> None:
    """Say nothing, and stay."""
    await asyncio.Event().wait()


async def reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection by a reset."""
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def leave(_: asyncio.StreamWriter) -> None:
    """Close the connection without a word."""


def then(fault: Fault, end: Fault) -> Fault:
    """Do one after the other."""

    async def both(writer: asyncio.StreamWriter) -> None:
        await fault(writer)
        await end(writer)

    return both


def drips(begin: bytes, byte: bytes) -> Fault:
    """Send a beginning, and then a byte ten times a second for ever."""

    async def fault(writer: asyncio.StreamWriter) -> None:
        writer.write(begin)
        while True:
            writer.write(byte)
            await writer.drain()
            await asyncio.sleep(0.1)

    return fault


async def huge(writer: asyncio.StreamWriter) -> None:
    """Send an answer of 200 MiB."""
    writer.write(answer(200, b"", length=BIG * MEBIBYTE))
    for _ in range(BIG):
        writer.write(b" " * MEBIBYTE)
        await writer.drain()


async def endless(writer: asyncio.StreamWriter) -> None:
    """Send an answer in chunks, without end."""
    head = b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    writer.write(head)
    while True:
        writer.write(b"100000\r\n" + b" " * MEBIBYTE + b"\r\n")
        await writer.drain()


def bomb() -> Fault:
    """Answer with some kilobytes that unpack to 200 MiB."""
    packer = compressobj(wbits=MAX_WBITS | 16)
    pieces = [packer.compress(b" " * MEBIBYTE) for _ in range(BIG)]
    packed = b"".join([*pieces, packer.flush()])
    return sends(answer(200, packed, Content_Encoding="gzip"))


def in_seconds(seconds: float) -> Fault:
    """Ask to come again at a time of day, written when the call comes."""

    async def fault(writer: asyncio.StreamWriter) -> None:
        date = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
        await limited(Retry_After=date)(writer)

    return fault


def limited(**headers: str) -> Fault:
    """Answer 429, with headers that say for how long."""
    return json_answer({"error": {"message": "slow down"}}, 429, **headers)


_WHOLE = answer(200, json.dumps(GOOD).encode())

FAULTS: Mapping[str, Fault] = {
    "late": sends(_WHOLE, pause_s=1),
    "byte by byte": sends(*(_WHOLE[n : n + 1] for n in range(len(_WHOLE)))),
    "hang": hang,
    "hang in the head": then(sends(b"HTTP/1.1 200 X\r\nContent-"), hang),
    "hang in the body": then(sends(answer(200, b'{"choices": [', length=1_000)), hang),
    "drip a head": drips(b"HTTP/1.1 200 X\r\nX-Endless: ", b"x"),
    "drip a body": drips(answer(200, b"", length=1_000_000), b" "),
    "reset": reset,
    "leave": leave,
    "half an answer": sends(answer(200, b'{"choices": [', length=1_000)),
    "half, then reset": then(sends(answer(200, b'{"choices": [', length=1_000)), reset),
    "broken chunks": sends(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
    "no http": sends(b"SSH-2.0-OpenSSH_9.9\r\n"),
    "endless head": drips(b"HTTP/1.1 200 X\r\nX-Endless: " + b"x" * 70_000, b"x"),
    "html": sends(answer(200, b"<html><body>Bad gateway</body></html>", Content_Type="text/html")),
    "empty": sends(answer(200, b"")),
    "no json": sends(answer(200, b'{"choices": [}')),
    "wrong json": json_answer({"choices": "many"}),
    "nothing in it": json_answer({"choices": []}),
    "null": json_answer(None),
    "deep json": sends(answer(200, b"[" * 100_000)),
    "no utf-8": sends(answer(200, b'{"choices": "\xff\xfe"}')),
    "not packed": sends(answer(200, b"plain", Content_Encoding="gzip")),
    "redirect": sends(answer(307, b"", Location="http://169.254.169.254/latest")),
    "huge": huge,
    "endless": endless,
    "bomb": bomb(),
    "limited": limited(),
    "limited for a second": limited(Retry_After="1"),
    "limited for half a second": limited(retry_after_ms="500", Retry_After="60"),
    "limited until": in_seconds(2),
    "limited before": in_seconds(-3_600),
    "limited for less than nothing": limited(Retry_After="-5"),
    "limited for ever": limited(Retry_After="1e9"),
    "limited for nonsense": limited(Retry_After="soon"),
    "busy for ever": json_answer({}, 503, Retry_After="3600"),
    **{f"status {code}": json_answer({"error": {"message": "no luck"}}, code) for code in STATUSES},
}
