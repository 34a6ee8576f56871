"""Outages of the embedded PostgreSQL: frozen, killed, stopped, and back."""

from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from app.local.postgres import LocalPostgres


def _processes(server: LocalPostgres) -> list[psutil.Process]:
    """List its processes, the one first that makes the others."""
    first = psutil.Process(int((server._home / "postmaster.pid").read_text().split()[0]))
    return [first, *first.children()]


@contextmanager
def frozen(server: LocalPostgres) -> Iterator[None]:
    """Have a server take connections and answer nothing until the block ends."""
    processes = _processes(server)
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()
