"""Folders and processes of the local stack's tests."""

import asyncio
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

StartUser = Callable[..., Awaitable[Process]]

_USER = """
import asyncio, sys
from pathlib import Path
from app.local.postgres import LocalPostgres

async def main():
    postgres = LocalPostgres(Path(sys.argv[1]))
    await postgres.start()
    print("started", flush=True)
    sys.stdin.read()
    if "forgetful" not in sys.argv:
        await postgres.stop()

asyncio.run(main())
"""


async def end(user: Process) -> None:
    """End the input of a user, and wait until it has left."""
    await user.communicate(b"")


@contextmanager
def _folder() -> Iterator[Path]:
    # Not below pytest's own, which each session closes to other users, as PostgreSQL is under root.
    with tempfile.TemporaryDirectory(prefix="dspatch-test-") as folder:
        yield Path(folder) / "data"


@pytest.fixture
def new_dir() -> Iterator[Path]:
    """Give a data directory that is not there yet."""
    with _folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    """Give a data directory that earlier tests have used, and left with nothing running."""
    with _folder() as folder:
        yield folder


@pytest.fixture
async def start_user() -> AsyncIterator[StartUser]:
    """Give a function that starts a process which uses the server until its input ends."""
    users: list[Process] = []

    async def start(data_dir: Path, *words: str) -> Process:
        user = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _USER, str(data_dir), *words, stdin=PIPE, stdout=PIPE
        )
        users.append(user)
        assert user.stdout is not None
        assert await user.stdout.readline() == b"started\n"
        return user

    yield start
    for user in users:
        await end(user)
