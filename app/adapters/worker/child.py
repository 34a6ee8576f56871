"""The program of a child: `python -m app.adapters.worker.child <frames> <beats> <parent>`.

The first two are file descriptors, the third the parent's process id. Standard output and standard
error belong to the programs.
"""

import asyncio
import ctypes
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from threading import Thread

import uvloop

from app.adapters.setup import AdapterFactory
from app.adapters.worker.serving import RUNS, ProgramServer

BEAT_S = 1.0
PR_SET_PDEATHSIG = 1


def main(runs: Mapping[str, AdapterFactory] = RUNS) -> None:
    """Serve the parent to the end, and end without waiting for threads of the programs."""
    frames, beats, parent = (int(text) for text in sys.argv[1:])
    die_with_parent()
    Thread(target=beat, args=(beats, parent), daemon=True).start()
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(socket.socket(fileno=frames), runs))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def die_with_parent() -> None:
    """Have the system kill this process when its parent dies; where it can: Linux."""
    with suppress(AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def beat(beats: int, parent: int) -> None:
    """Show that the process lives, whatever its event loop does; end it once the parent is gone."""
    os.set_blocking(beats, False)
    while os.getppid() == parent:
        with suppress(OSError):  # nobody reads at the moment
            os.write(beats, b".")
        time.sleep(BEAT_S)
    os._exit(1)


async def _serve(frames: socket.socket, runs: Mapping[str, AdapterFactory]) -> None:
    await ProgramServer(runs).serve(frames)


if __name__ == "__main__":
    main()
