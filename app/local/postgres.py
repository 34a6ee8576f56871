"""The embedded PostgreSQL: one cluster per data directory, shared by the processes that use it.

The server is detached, so that it outlives the process that started it while another uses it.
Who uses it is known by a lock that each user holds and the kernel lets go when a process dies.
"""

import asyncio
import atexit
import fcntl
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

import asyncpg

from app.local import data_directory
from app.local.cluster import Cluster
from app.local.errors import LocalStackError
from app.local.temporary_folders import temporary_folder

# A socket's path ends at 107 bytes (103 on macOS), and readers of URLs split hosts at commas.
_USABLE_IN_URL = re.compile(r"[A-Za-z0-9_./+-]{1,88}")


class LocalPostgres:
    """PostgreSQL 18 in `data_dir/postgres`, reached by a unix socket only.

    `start` and `stop` may be called from any thread and event loop, and more than once.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir.absolute()
        self._home = self._data_dir / "postgres"
        self._socket_dir = self._home
        self._users: IO[bytes] | None = None
        self._in_use = ExitStack()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Make the cluster where there is none, and start it where it does not run.

        LocalStackError where that fails.
        """
        await asyncio.to_thread(self._start)

    async def stop(self) -> None:
        """Stop the server, unless somebody else still uses it."""
        await asyncio.to_thread(self._stop)

    def url(self, database: str) -> str:
        """Give the address of a database, as libpq, asyncpg and SQLAlchemy read it."""
        # The port is named, lest PGPORT in the environment names another.
        return (
            f"postgresql://postgres@/{quote(database, safe='')}?host={self._socket_dir}&port=5432"
        )

    async def ensure_database(self, name: str) -> None:
        """Create a database where there is none of that name."""
        quoted = name.replace('"', '""')
        with self._plain_words():
            connection = await asyncpg.connect(self.url("postgres"))
            try:
                # Two may ask at once: the loser meets either error, by how close they were.
                with suppress(asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
                    await connection.execute(f'CREATE DATABASE "{quoted}"')
            finally:
                await connection.close()

    def _start(self) -> None:
        data_directory.prepare(self._data_dir)
        with self._plain_words(), self._turn(), ExitStack() as on_failure:
            on_failure.callback(self._release)
            if self._users is None:
                self._begin_to_use()
            cluster = Cluster(self._home)
            if not cluster.is_running(self._socket_dir):
                cluster.start()
            on_failure.pop_all()

    def _stop(self) -> None:
        if self._users is None:
            return
        # The folder may be gone by now: PostgreSQL sees that within a minute, and ends itself.
        with self._plain_words(), suppress(FileNotFoundError), self._turn():
            cluster = Cluster(self._home)
            if _is_last(self._users) and cluster.is_running(self._socket_dir):
                cluster.stop()
        self._release()

    def _begin_to_use(self) -> None:
        if not _USABLE_IN_URL.fullmatch(str(self._home)):
            self._socket_dir = self._in_use.enter_context(temporary_folder()) / "postgres"
            self._socket_dir.symlink_to(self._home)
        path = self._data_dir / "postgres.users"
        self._users = self._in_use.enter_context(path.open("ab"))
        fcntl.flock(self._users, fcntl.LOCK_SH)
        atexit.register(self._stop)
        self._in_use.callback(atexit.unregister, self._stop)

    def _release(self) -> None:
        self._in_use.close()
        self._users = None

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Keep everybody else from starting or stopping this cluster."""
        with (self._data_dir / "postgres.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _plain_words(self) -> Iterator[None]:
        try:
            yield
        except (OSError, asyncpg.PostgresError) as error:
            raise LocalStackError(f"PostgreSQL cannot run in {self._data_dir}: {error}.") from error


def _is_last(users: IO[bytes]) -> bool:
    # The kernel counts: a user that was killed holds no lock, and no number can mislead.
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
