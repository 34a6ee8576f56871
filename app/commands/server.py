"""The HTTP server: its socket, its signals, its end."""

import asyncio
import ipaddress
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI
from typing_extensions import override

from app.commands.console import RefusedError
from app.main import create_app
from app.runtime import open_runtime
from app.settings import Settings
from app.telemetry import configure_logging

_BACKLOG = 2_048
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class _Server(uvicorn.Server):
    """A server that leaves signals to us: uvicorn raises them again and so skips our cleanup."""

    @contextmanager
    @override
    def capture_signals(self) -> Iterator[None]:
        yield


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

    async def until_signal(self) -> None:
        """Serve until SIGTERM or SIGINT; drain at the first, hurry at the second."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self.server.handle_exit, signal.SIGINT, None)
        try:
            await self.ended
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)


@asynccontextmanager
async def serving(settings: Settings, listener: socket.socket) -> AsyncIterator[Serving]:
    """Serve until the block ends."""
    configure_logging(settings.logging)
    async with open_runtime(settings) as runtime:
        server = _Server(_config(settings, create_app(settings, runtime)))
        ended = asyncio.create_task(server.serve(sockets=[listener]), name="serve")
        try:
            yield Serving(server, ended)
        finally:
            server.should_exit = True
            await ended


def _config(settings: Settings, app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=max(1, settings.server.grace_ms // 1_000),
    )
