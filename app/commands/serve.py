"""`dspatch serve`: the API."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Annotated

import typer

from app.background import Background
from app.commands.console import err, plain_errors
from app.commands.local_stack import local_stack, without_keys
from app.commands.options import DEFAULT_DATA_DIR, Config, DataDir, Local
from app.commands.server import bind, require_safe, serving
from app.commands.server_keeper import ServerKeeper
from app.commands.server_process import Part, serve_part
from app.commands.signals import hear_signals
from app.commands.supervisor import supervise
from app.local.temporary_folders import temporary_folder
from app.policies.clock import SystemClock
from app.policies.drain import Drain
from app.settings import Settings, load_settings
from app.telemetry.logs import configure_logging
from app.telemetry.masking import Mask, secrets_of
from app.telemetry.shared_figures import SharedFigures

LAST_RECORDS_S = 15.0
"""How long a process may take, beside delay and grace, to write its last records."""

Start = Callable[[socket.socket, Settings, Callable[[], None]], Awaitable[None]]
"""What serves on a socket, and says when it does."""


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = 8_000,
    processes: Annotated[
        int, typer.Option(min=1, max=256, help="On this address, each with a pool of its own.")
    ] = 1,
    config: Config = None,
    local: Local = False,  # noqa: FBT002 - a flag of the command line
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Serve the API.

    For example `dspatch serve --local`, or
    `dspatch serve --config dspatch.toml --port 8080 --processes 4`.
    """
    start = _serve_alone if processes == 1 else partial(_serve_together, processes)
    with plain_errors():
        asyncio.run(_serve(host, port, load_settings(config), data_dir if local else None, start))


async def _serve(
    host: str, port: int, settings: Settings, data_dir: Path | None, start: Start
) -> None:
    """Refuse what cannot be before anything is started."""
    if data_dir is not None:
        settings = without_keys(settings)
    require_safe(settings, host)
    with bind(host, port) as listener:
        host, port, *_ = listener.getsockname()
        announce = partial(err.print, f"Dspatch serves on http://{host}:{port}", soft_wrap=True)
        if data_dir is None:
            await start(listener, settings, announce)
        else:
            async with local_stack(settings, data_dir) as local:
                await start(listener, local, announce)


async def _serve_alone(
    listener: socket.socket, settings: Settings, announce: Callable[[], None]
) -> None:
    async with serving(settings, listener) as server:
        hear_signals(server.drain)
        announce()
        await server.until_drained()


async def _serve_together(
    count: int, listener: socket.socket, settings: Settings, announce: Callable[[], None]
) -> None:
    configure_logging(settings.logging, Mask(secrets_of(settings, os.environ)))
    of = settings.server
    ending_s = (of.drain_delay_ms + of.grace_ms) / 1_000 + LAST_RECORDS_S
    drain, background = Drain(), Background(SystemClock(), Random())  # noqa: S311 - jitter
    hear_signals(drain)
    with temporary_folder() as folder:
        figures = [SharedFigures(folder, server) for server in range(count)]
        keepers = [
            ServerKeeper(
                partial(serve_part, Part(listener, settings, of_one)), of_one.forget_gauges
            )
            for of_one in figures
        ]
        await supervise(keepers, listener, drain, background, announce, ending_s)
