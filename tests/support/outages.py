"""Outages of the embedded PostgreSQL: each lasts as long as its block, then the server is back."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import psutil

from app.local.postgres import LocalPostgres
from tests.support.wait import wait_until

Outage = Callable[[LocalPostgres], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def stopped(server: LocalPostgres) -> AsyncIterator[None]:
    """Stop it as an operator does: it says goodbye to its clients."""
    await server.stop()
    try:
        yield
    finally:
        await server.start()


@asynccontextmanager
async def killed(server: LocalPostgres) -> AsyncIterator[None]:
    """Kill all of it in the middle of whatever it does."""
    processes = _processes(server)
    for process in processes:
        process.kill()
    await wait_until(lambda: not any(map(_is_at_work, processes)), 30)
    try:
        yield
    finally:
        await server.start()


@asynccontextmanager
async def frozen(server: LocalPostgres) -> AsyncIterator[None]:
    """Have it take connections and answer nothing."""
    processes = _processes(server)
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


def _processes(server: LocalPostgres) -> list[psutil.Process]:
    """List the server's processes, the one first that makes the others."""
    first = psutil.Process(int((server._home / "postmaster.pid").read_text().split()[0]))
    return [first, *first.children()]


def _is_at_work(process: psutil.Process) -> bool:
    """Tell whether a process lives; the remains of one that nobody has reaped do not."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
