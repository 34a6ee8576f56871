"""What processes run that stand for servers: they import nothing, and so start at once."""

import signal
import time
from multiprocessing.connection import Connection


def serve(up: Connection) -> None:
    """Serve until a signal ends it."""
    up.send_bytes(b"")
    time.sleep(60)


def refuse(up: Connection) -> None:  # noqa: ARG001 - nothing is told
    """End before anything is served."""
    raise SystemExit(2)


def serve_on(up: Connection) -> None:
    """Serve whatever signal comes."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    serve(up)
