"""A proxy before PostgreSQL's socket, which cuts connections at the moment that a test says."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

SOCKET = ".s.PGSQL.5432"

Cut = Callable[[bytes], bool]


def never(_: bytes) -> bool:
    """Let everything pass."""
    return False


class Proxy:
    """Passes bytes on until `cuts_request` or `cuts_answer` says otherwise of some.

    What is cut is not passed on; a cut request is lost, an answer that is cut was the server's.
    Where `is_deaf`, the server does not hear that its client has gone.
    """

    def __init__(self, server: Path) -> None:
        self.cuts_request: Cut = never
        self.cuts_answer: Cut = never
        self.is_deaf = False
        self.cuts = 0
        self._server = server
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Join a client to the server."""
        there, back = await asyncio.open_unix_connection(self._server)
        self._writers += [writer, back]
        for work in (self._pass(reader, back, writer), self._pass(there, writer, back)):
            self._tasks.add(asyncio.create_task(work))

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        other: asyncio.StreamWriter,
    ) -> None:
        is_request = other in self._writers[::2]
        while data := await reader.read(1 << 20):
            if (self.cuts_request if is_request else self.cuts_answer)(data):
                self.cuts += 1
                self.cuts_request = self.cuts_answer = never
                writer.transport.abort()
                other.transport.abort()
                return
            writer.write(data)
        if not self.is_deaf:
            writer.close()

    def say_farewell(self) -> None:
        """Say to every client what a server says last, and do not hang up yet."""
        fields = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection\0\0"
        for writer in self._writers[::2]:
            writer.write(b"E" + struct.pack("!i", 4 + len(fields)) + fields)

    def hang_up(self) -> None:
        """Cut every client off."""
        for writer in self._writers[::2]:
            writer.transport.abort()

    async def close(self) -> None:
        """End every connection."""
        for writer in self._writers:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def proxied(url: str, folder: Path) -> AsyncIterator[tuple[Proxy, str]]:
    """Put a proxy before the server of an address; give it and its own address."""
    before, _, rest = url.partition("host=")
    host, _, after = rest.partition("&")
    proxy = Proxy(Path(host) / SOCKET)
    server = await asyncio.start_unix_server(proxy.serve, folder / SOCKET)
    try:
        yield proxy, f"{before}host={folder}&{after}"
    finally:
        server.close()
        await proxy.close()
