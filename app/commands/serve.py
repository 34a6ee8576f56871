"""`dspatch serve`: the API."""

import asyncio
import socket
from pathlib import Path
from typing import Annotated

import typer

from app.commands.console import err, plain_errors
from app.commands.local_stack import local_stack, without_keys
from app.commands.options import DEFAULT_DATA_DIR, Config, DataDir, Local
from app.commands.server import bind, require_safe, serving
from app.commands.signals import hear_signals
from app.settings import Settings, load_settings


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = 8_000,
    config: Config = None,
    local: Local = False,  # noqa: FBT002 - a flag of the command line
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Serve the API.

    For example `dspatch serve --local`, or
    `dspatch serve --config dspatch.toml --port 8080`.
    """
    with plain_errors():
        asyncio.run(_serve(host, port, load_settings(config), data_dir if local else None))


async def _serve(host: str, port: int, settings: Settings, data_dir: Path | None) -> None:
    """Refuse what cannot be before anything is started."""
    if data_dir is not None:
        settings = without_keys(settings)
    require_safe(settings, host)
    with bind(host, port) as listener:
        if data_dir is None:
            await _listen(listener, settings)
        else:
            async with local_stack(settings, data_dir) as local:
                await _listen(listener, local)


async def _listen(listener: socket.socket, settings: Settings) -> None:
    async with serving(settings, listener) as server:
        host, port, *_ = listener.getsockname()
        hear_signals(server.drain)
        err.print(f"Dspatch serves on http://{host}:{port}", soft_wrap=True)
        await server.until_drained()
