"""The ends of a lane's items, written in groups while the lane goes on."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

Row: TypeAlias = Mapping[str, Any]
"""The end of an item: what `LaneStore.finish` takes."""


class Ledger:
    """Writes what is added in order: what has come during a write goes together in the next.

    No write has more than `most` rows. One that fails is the last: everybody who asks is told.
    """

    def __init__(self, write: Callable[[Sequence[Row]], Awaitable[None]], most: int) -> None:
        self._write = write
        self._most = most
        self._waiting = deque[Row]()
        self._writing: asyncio.Task[None] | None = None
        self._progress = asyncio.Event()
        self._failure: Exception | None = None

    def add(self, row: Row) -> None:
        """Have a row written."""
        self._waiting.append(row)
        if self._writing is None and self._failure is None:
            self._writing = asyncio.create_task(self._work(), name="record items")

    async def room(self) -> None:
        """Return when less than a group waits to be written; raises what a write has raised."""
        await self._until(lambda: len(self._waiting) < self._most)

    async def settled(self) -> None:
        """Return when everything is written; raises what a write has raised."""
        await self._until(lambda: self._writing is None)

    async def close(self) -> None:
        """Write nothing more."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.wait({self._writing})

    async def _until(self, is_so: Callable[[], bool]) -> None:
        while self._failure is None and not is_so():
            self._progress.clear()
            await self._progress.wait()
        if self._failure is not None:
            raise self._failure

    async def _work(self) -> None:
        try:
            while self._waiting:
                group = [
                    self._waiting.popleft() for _ in range(min(len(self._waiting), self._most))
                ]
                await self._write(group)
                self._progress.set()
        except Exception as error:  # noqa: BLE001 - it is told to everybody who asks
            self._failure = error
        finally:
            self._writing = None
            self._progress.set()
