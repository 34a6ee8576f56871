"""A model in the process of the test that counts what it is asked, by processes that may die."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Self

PACKAGE = str(Path(__file__).parent / "counting")


async def at_once(question: str) -> str:
    """Answer with the question."""
    return question


class CountingModel:
    """Knows how often it was asked what, and how many calls were in flight at once.

    A call is in flight until it is answered or its connection ends, which it does at once where
    the process that asked is killed. `async with` starts and stops it.
    """

    def __init__(self, answer: Callable[[str], Awaitable[str]] = at_once) -> None:
        self.asked = Counter[str]()
        self.in_flight = 0
        self.most_in_flight = 0
        self._answer = answer
        self._port = 0

    @property
    def variables(self) -> dict[str, str]:
        """Variables of a process that asks this model by the adapter `counting`."""
        return {
            "PYTHONPATH": PACKAGE,
            "DSPATCH_ADAPTERS__COUNTING__KIND": "counting",
            "DSPATCH_ADAPTERS__COUNTING__PORT": str(self._port),
        }

    @property
    def extra(self) -> int:
        """How many calls were made beyond one for each question."""
        return self.asked.total() - len(self.asked)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1_000)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        if not line.endswith(b"\n"):  # who would have asked has died
            writer.close()
            return
        question = line.decode().strip()
        self.asked[question] += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        answering = asyncio.ensure_future(self._answer(question))
        leaving = asyncio.ensure_future(reader.read())
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                writer.write(f"{answering.result()}\n".encode())
        finally:
            self.in_flight -= 1
            answering.cancel()
            leaving.cancel()
            writer.close()
