"""The parent of several processes that serve on one socket: starts, watches and ends them."""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Sequence

import typer

from app.background import Background
from app.commands.server_keeper import ServerKeeper
from app.policies.drain import Drain, Stage

logger = logging.getLogger(__name__)


async def supervise(
    keepers: Sequence[ServerKeeper],
    listener: socket.socket,
    drain: Drain,
    background: Background,
    announce: Callable[[], None],
    ending_s: float,
) -> None:
    """Keep so many servers running until all have drained, for `ending_s` at most.

    The first one starts alone: what refuses it would refuse them all. It has said why, and
    typer.Exit passes its code on.
    """
    passing_on = asyncio.create_task(_pass_on(drain, keepers), name="pass signals on")
    if await keepers[0].start():
        announce()
        for number, keeper in enumerate(keepers):
            background.start(f"server {number}", keeper.keep)
        await drain.until(Stage.DRAINING)
        await background.close()
        listener.close()  # or connections would wait in it when the last process has closed it
        await _end(keepers, ending_s)
    elif not drain.has_begun:
        raise typer.Exit(await keepers[0].until_ended())
    passing_on.cancel()


async def _end(keepers: Sequence[ServerKeeper], ending_s: float) -> None:
    late = await asyncio.gather(*(keeper.end_within(ending_s) for keeper in keepers))
    if any(late):
        logger.error("killed %d processes that did not end within %.0f s", sum(late), ending_s)


async def _pass_on(drain: Drain, keepers: Sequence[ServerKeeper]) -> None:
    """Tell all processes what we are told; two signals of one kind could come as one."""
    await drain.until(Stage.DRAINING)
    first, second = signal.SIGTERM, signal.SIGINT
    if drain.is_at(Stage.CLOSING):
        first, second = second, first
    _send(first, keepers)
    await drain.until(Stage.HURRYING)
    _send(second, keepers)


def _send(number: signal.Signals, keepers: Sequence[ServerKeeper]) -> None:
    for keeper in keepers:
        keeper.send(number)
