"""Clients that want nothing, or want it very slowly; a process of their own, so that it is theirs.

`python -m tests.support.crowd PORT IDLE DRIPPING` says `all are there` when each has been there
once, and goes on until it is killed.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress

from tests.support.wait import wait_until

AT_ONCE = 50
"""So many open their connection at the same time."""

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def idle(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Say nothing until the server ends it."""
    await reader.read()


async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send headers without an end, a byte a second."""
    writer.write(b"GET /livez HTTP/1.1\r\nEndless: ")
    while True:
        writer.write(b"a")
        await writer.drain()
        await asyncio.sleep(1)


class Crowd:
    """Clients with a connection each, which they open again when it is closed."""

    def __init__(self, port: int) -> None:
        self.opened = 0
        self._port = port
        self._opening = asyncio.Semaphore(AT_ONCE)

    async def come(self, behaviour: Behaviour) -> None:
        """Come again and again."""
        while True:
            with suppress(OSError):
                async with self._opening:
                    reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                self.opened += 1
                try:
                    await behaviour(reader, writer)
                finally:
                    writer.close()


async def main(port: int, idling: int, dripping: int) -> None:
    """Have them come."""
    crowd = Crowd(port)
    behaviours = [idle] * idling + [drip] * dripping
    coming = [asyncio.create_task(crowd.come(behaviour)) for behaviour in behaviours]
    await wait_until(lambda: crowd.opened >= len(coming), 120)
    print("all are there", flush=True)  # noqa: T201 - for who has started it
    await asyncio.gather(*coming)


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
