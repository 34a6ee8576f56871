"""The HTTP server: its socket, its signals, its end."""

import asyncio
import ipaddress
import logging
import os
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI
from typing_extensions import override

from app.api.edge import EdgeConfig
from app.commands.console import RefusedError
from app.main import create_app
from app.policies.drain import Drain, Stage
from app.runtime import VERSION, Runtime, open_runtime
from app.settings import Settings
from app.telemetry.export import exporting
from app.telemetry.logs import configure_logging
from app.telemetry.masking import Mask, secrets_of
from app.telemetry.metrics import Metrics

LAST_WORD_S = 5.0
"""How long requests that were cancelled may take to end their records and answer."""

_TICK_S = 0.05
_BACKLOG = 2_048
"""So many connections may wait to be accepted."""

_ACCEPTED_AT_ONCE = 8
"""So many are accepted before the event loop does something else: a crowd must not stop it."""

_DESCRIPTORS = 1_000
"""What a process needs besides those of its clients: the database, back-ends, children, files."""

logger = logging.getLogger(__name__)


class _Server(uvicorn.Server):
    """A server that ends as a Drain says, and leaves signals to us.

    uvicorn raises them again and so skips our cleanup, and it does not await what it cancels.
    """

    def __init__(self, config: uvicorn.Config, runtime: Runtime, grace_s: float) -> None:
        super().__init__(config)
        self._drain = runtime.drain
        self._worker = runtime.worker
        self._grace_s = grace_s

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen; asyncio has one number for those that it accepts at once and those that wait."""
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(_BACKLOG)

    @contextmanager
    @override
    def capture_signals(self) -> Iterator[None]:
        yield

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the socket, let what runs end within the grace, and cancel the rest."""
        self._drain.go_to(Stage.CLOSING)
        for listener in (*self.servers, *(sockets or ())):
            listener.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._grace_s):
                await self._until_idle()
        running = set(self.server_state.tasks)
        for task in running:
            task.cancel()
        if running:
            logger.warning("cancelled %d requests that still ran", len(running))
            await asyncio.wait(running, timeout=LAST_WORD_S)

    async def _until_idle(self) -> None:
        """Return when all is answered and nothing runs, or somebody is in a hurry."""
        state = self.server_state
        while not self._drain.is_at(Stage.HURRYING) and (
            state.connections or state.tasks or not self._worker.is_idle
        ):
            for connection in list(state.connections):
                connection.shutdown()  # closes an idle one; others close with their answer
            await asyncio.sleep(_TICK_S)


def require_safe(settings: Settings, host: str) -> None:
    """Refuse to serve everybody by accident; RefusedError says what to change."""
    asks_for_keys = settings.auth.mode == "keys"
    if not (asks_for_keys or settings.auth.allow_open or _is_loopback(host)):
        raise RefusedError(
            f"Without keys, everybody who reaches {host} could call: serve on 127.0.0.1, "
            'ask for keys with `[auth] mode = "keys"`, or say `[auth] allow_open = true`.'
        )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bind(host: str, port: int) -> socket.socket:
    """Take the address before anything else is started; RefusedError where it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise RefusedError(
            f"Cannot listen on {host} port {port}: {error.strerror}. Choose another with --port."
        ) from None
    return listener


@dataclass(frozen=True)
class Serving:
    """A server at work; `ended` is done when it has stopped taking requests and drained."""

    server: uvicorn.Server
    ended: asyncio.Task[None]
    drain: Drain
    drain_delay_s: float

    async def until_drained(self) -> None:
        """Serve until a signal that is heard has drained the server."""
        draining = asyncio.create_task(self._close_in_time(), name="drain")
        try:
            await self.ended
        finally:
            draining.cancel()

    async def _close_in_time(self) -> None:
        """Once draining has begun, let requests come for the delay, then close the socket."""
        await self.drain.until(Stage.DRAINING)
        with suppress(TimeoutError):
            async with asyncio.timeout(self.drain_delay_s):
                await self.drain.until(Stage.CLOSING)
        self.server.should_exit = True


@asynccontextmanager
async def serving(
    settings: Settings, listener: socket.socket, metrics: Metrics | None = None
) -> AsyncIterator[Serving]:
    """Serve until the block ends; `metrics` may be those of processes that serve together."""
    mask = Mask(secrets_of(settings, os.environ))
    configure_logging(settings.logging, mask)
    allow_descriptors(settings.limits.connections + _DESCRIPTORS)
    grace_s = settings.server.grace_ms / 1_000
    async with (
        exporting(VERSION, os.environ, mask),
        open_runtime(settings, metrics=metrics) as runtime,
        answering(create_app(settings, runtime), runtime, listener, grace_s) as server,
    ):
        yield server


@asynccontextmanager
async def answering(
    app: FastAPI, runtime: Runtime, listener: socket.socket, grace_s: float
) -> AsyncIterator[Serving]:
    """Answer until the block ends; what runs then has the grace to end."""
    settings = runtime.settings
    server = _Server(_config(app, settings), runtime, grace_s)
    ended = asyncio.create_task(server.serve(sockets=[listener]), name="serve")
    try:
        yield Serving(server, ended, runtime.drain, settings.server.drain_delay_ms / 1_000)
    finally:
        server.should_exit = True
        await ended


def _config(app: FastAPI, settings: Settings) -> EdgeConfig:
    return EdgeConfig(
        app,
        settings.limits,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=_ACCEPTED_AT_ONCE,
    )


def allow_descriptors(wanted: int) -> None:
    """Let this process have so many, or as many as it may, beside what it had."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < highest:
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
