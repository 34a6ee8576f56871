"""A receiver of webhooks on loopback, which keeps what it is sent and answers as it is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

OK = b"HTTP/1.1 204 No Content\r\n\r\n"


def an_answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    """Write an answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@dataclass(frozen=True)
class Delivered:
    """One request, as it came; names of headers in small letters."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """What came, and what is answered: each of `answers` once, then 204.

    An answer of None never comes.
    """

    port: int = 0
    connections: int = 0
    requests: list[Delivered] = field(default_factory=list)
    answers: list[bytes | None] = field(default_factory=list)

    @property
    def host(self) -> str:
        """Where it listens, as settings allow it."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Where deliveries go."""
        return f"http://{self.host}/hook"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take the requests of one connection."""
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode("latin-1").split("\r\n")
                pairs = (line.split(": ", 1) for line in lines if line)
                headers = {name.lower(): value for name, value in pairs}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.requests.append(Delivered(first.split(" ")[1], headers, body))
                answer = self.answers.pop(0) if self.answers else OK
                if answer is None:
                    await reader.read()  # until the client gives up
                    return
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def a_receiver(*answers: bytes | None) -> AsyncIterator[Receiver]:
    """Listen until the block ends."""
    receiver = Receiver(answers=list(answers))
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
