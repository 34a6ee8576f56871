"""The process of a child: started with its pipes, heard, and ended with all that it started."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import IO

import psutil

from app.adapters.worker.link import Link
from app.adapters.worker.output import LoggedLines, Stream, Tail
from app.policies.clock import Clock

LAST_WORDS_S = 0.2
"""How long the standard error of a dead process is read: what it started may hold it open."""


@dataclass(frozen=True)
class Launch:
    """How children are started; `secrets` are masked in what they write."""

    command: Sequence[str]
    environment: Mapping[str, str]
    secrets: Sequence[str] = ()


class ChildProcess:
    """A process in a session of its own; `exited` is done, with its exit code, when it is gone."""

    def __init__(self, launch: Launch, name: str, clock: Clock) -> None:
        self._launch = launch
        self._tail = Tail(launch.secrets)
        self._out = Stream(LoggedLines(logging.INFO, f"{name} says", clock).take)
        errors = LoggedLines(logging.WARNING, f"{name} complains", clock)
        self._err = Stream(self._tail.take, errors.take)
        self._pipes: list[asyncio.BaseTransport] = []
        self.exited: asyncio.Future[int]
        self.pid: int

    async def start(self, link: Link, beaten: Callable[[bytes], None]) -> None:
        """Start it, with `link` to its frames; OSError where the system has no place for it."""
        with ExitStack() as theirs:
            frames, its_frames = socket.socketpair()
            theirs.enter_context(its_frames)
            loop = asyncio.get_running_loop()
            await loop.create_unix_connection(lambda: link, sock=frames)
            try:
                out, err, beats = [
                    await self._pipe(stream, theirs)
                    for stream in (self._out, self._err, Stream(beaten))
                ]
                process = await asyncio.create_subprocess_exec(
                    *self._launch.command,
                    *map(str, (its_frames.fileno(), beats, os.getpid())),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    pass_fds=(its_frames.fileno(), beats),
                    start_new_session=True,
                    env=self._launch.environment,
                )
            except BaseException:
                link.close()
                self._close_pipes()
                raise
        self.pid = process.pid
        self.exited = asyncio.ensure_future(process.wait())

    def rss(self) -> int:
        """Give the bytes of memory that it holds; 0 where it is gone."""
        try:
            return int(psutil.Process(self.pid).memory_info().rss)
        except psutil.NoSuchProcess:
            return 0

    async def exit_code(self, within_s: float) -> int | None:
        """Wait for its end by itself; None where it does not come in time."""
        await asyncio.wait({self.exited}, timeout=within_s)
        return self.exited.result() if self.exited.done() else None

    async def last_words(self) -> str:
        """Give the end of what it wrote to its standard error."""
        if self.exited.done():
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS_S):
                    await self._err.ended.wait()
        return self._tail.text()

    async def end(self, grace_s: float) -> None:
        """End it and what it started: SIGTERM, SIGKILL after a grace; return when it is gone."""
        if not self.exited.done():
            self._signal(signal.SIGTERM)
            await self.exit_code(grace_s)
        self._signal(signal.SIGKILL)
        await asyncio.wait({self.exited})
        self._close_pipes()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    async def _pipe(self, stream: Stream, theirs: ExitStack) -> int:
        """Read a pipe into `stream`; give the end that the child writes to."""
        reading, writing = os.pipe()
        theirs.callback(os.close, writing)
        pipe: IO[bytes] = os.fdopen(reading, "rb", 0)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: stream, pipe)
        self._pipes.append(transport)
        return writing

    def _close_pipes(self) -> None:
        for pipe in self._pipes:
            pipe.close()
