"""One of several processes that serve on a socket of their parent's, as the process itself lives.

Its parent is `app.commands.supervisor`; what it needs comes to it pickled.
"""

import asyncio
import os
import socket
import sys
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection

import typer

from app.commands.console import plain_errors
from app.commands.server import serving
from app.commands.signals import hear_end, hear_signals
from app.settings import Settings
from app.telemetry.metrics import Metrics
from app.telemetry.shared_figures import SharedFigures


@dataclass(frozen=True)
class Part:
    """What one of the processes is given."""

    listener: socket.socket
    settings: Settings
    figures: SharedFigures


def serve_part(part: Part, up: Connection) -> None:
    """Serve until a signal or the parent's end; `up` hears of it once requests are taken."""
    os.setsid()  # a Ctrl-C is for the parent, which passes it on
    part.figures.count_here()
    try:
        with plain_errors():
            asyncio.run(_serve(part, up))
    except typer.Exit as end:
        sys.exit(end.exit_code)


async def _serve(part: Part, up: Connection) -> None:
    parent = parent_process()
    assert parent is not None  # noqa: S101 - we are a child
    async with serving(part.settings, part.listener, Metrics(part.figures)) as server:
        hear_signals(server.drain)
        hearing = asyncio.create_task(hear_end(parent.sentinel, server.drain), name="hear parent")
        up.send_bytes(b"")
        await server.until_drained()
        hearing.cancel()
