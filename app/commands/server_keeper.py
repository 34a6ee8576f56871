"""One of several servers on a socket: a process, and those that replace it."""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from app.policies.readable import until_readable

_SPAWN = multiprocessing.get_context("spawn")


class ServerEndedError(Exception):
    """A process that serves has ended, so that another one has to."""


class ServerKeeper:
    """Starts a process, sees it to its end, and starts the next one.

    `serve` runs in the process and tells its argument once requests are taken; it has to be
    picklable. `clear` is called whenever a process has ended.
    """

    def __init__(self, serve: Callable[[Connection], None], clear: Callable[[], None]) -> None:
        self._serve = serve
        self._clear = clear
        self._process: SpawnProcess | None = None
        self._life: asyncio.Task[int] | None = None
        self._is_up = False

    async def start(self) -> bool:
        """Start a process; tell whether it takes requests now, or has ended before."""
        up, told = _SPAWN.Pipe(duplex=False)
        # A daemon, so that a parent that fails ends it instead of waiting for it.
        process = _SPAWN.Process(target=self._serve, args=(told,), daemon=True)
        process.start()
        self._process, self._is_up = process, False
        self._life = asyncio.create_task(self._live(process), name="life of a server")
        told.close()
        with up:
            await until_readable(up.fileno())
            try:
                up.recv_bytes()
            except EOFError:
                return False
        self._is_up = True
        return True

    async def keep(self) -> None:
        """See a process to its end, after starting one where there is none; ServerEndedError."""
        if self._life is None or self._life.done():
            await self.start()
        raise ServerEndedError(f"It ended with {await self.until_ended()}.")

    async def until_ended(self) -> int:
        """Wait for the end of the process that was started, and give its code."""
        assert self._life is not None  # noqa: S101 - it was started
        return await asyncio.shield(self._life)

    async def end_within(self, seconds: float) -> bool:
        """Wait so long for the end; tell whether the process had to be killed."""
        if self._process is None or self._life is None:
            return False
        await asyncio.wait({self._life}, timeout=seconds)
        if is_late := not self._life.done():
            self._process.kill()
            await self._life
        return is_late

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process, if one lives; SIGTERM to one that does not hear yet."""
        if self._process is not None and self._process.is_alive():
            os.kill(self._process.pid or 0, number if self._is_up else signal.SIGTERM)

    async def _live(self, process: SpawnProcess) -> int:
        await until_readable(process.sentinel)
        process.join()
        self._is_up = False
        self._clear()
        return process.exitcode or 0
