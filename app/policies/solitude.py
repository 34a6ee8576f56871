"""A place where many may work beside each other, or one alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Solitude:
    """Whoever wants to be alone waits until nobody works here, and nobody begins meanwhile."""

    def __init__(self) -> None:
        self._beside = 0
        self._wanting = 0
        self._turn = asyncio.Lock()
        self._empty = asyncio.Event()
        self._open = asyncio.Event()

    @property
    def is_empty(self) -> bool:
        """Whether nobody works here."""
        return not (self._beside or self._wanting)

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[None]:
        """Work beside others, as soon as nobody is alone or waits to be."""
        while self._wanting:
            self._open.clear()
            await self._open.wait()
        self._beside += 1
        try:
            yield
        finally:
            self._beside -= 1
            self._empty.set()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Work with no other beside."""
        self._wanting += 1
        try:
            async with self._turn:
                while self._beside:
                    self._empty.clear()
                    await self._empty.wait()
                yield
        finally:
            self._wanting -= 1
            self._open.set()
