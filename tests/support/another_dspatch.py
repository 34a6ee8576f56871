"""Another Dspatch, a process of its own, for tests of those that call one."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Thread
from typing import IO

_SERVING = re.compile(r"Dspatch serves on (http://\S+)")


def free_port() -> int:
    """Give a port that nobody listens on now."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


@contextmanager
def another_dspatch(environment: Mapping[str, str], *, port: int = 0) -> Iterator[str]:
    """Serve until the block ends, and give the address."""
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "app", "serve", "--port", str(port)],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "DSPATCH_SERVER__DRAIN_DELAY_MS": "0", **environment},
    )
    assert process.stderr is not None
    reading = Thread(target=process.stderr.read, daemon=True)
    try:
        address = _address(process.stderr)
        reading.start()  # unread, the pipe would fill up and stop the process
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        if reading.is_alive():
            reading.join()
        process.stderr.close()


def _address(output: IO[str]) -> str:
    said = ""
    for line in output:
        said += line
        if found := _SERVING.search(line):
            return found[1]
    raise RuntimeError(said)
