"""The database: its connections, the unit of work, the schema's revision."""

import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, column, event, func, select, table, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from app.errors import DatabaseUnavailableError
from app.policies.clock import Clock
from app.settings import DatabaseSettings
from app.stores.availability import LOST, RETRY_AFTER_S, is_away, says_away
from app.stores.connections import Connections, Link
from app.stores.documents import dump_document, load_document
from app.stores.notices import NoticeLink
from app.stores.partitions import WEEKS_AHEAD
from app.stores.pool import Pool, hand_out_the_living
from app.stores.programs import CHANGED
from app.stores.transaction import Transaction
from app.telemetry import spending

logger = logging.getLogger(__name__)

T = TypeVar("T")

Changed = Callable[[Collection[UUID]], None]

_ROOT = Path(__file__).parent.parent

_MIGRATION_LOCK = 4_027_431_002

_UNDEFINED_TABLE = "42P01"

_VERSIONS = table("alembic_version", column("version_num"))


class SchemaError(Exception):
    """The schema is not the one that this program is written for."""


def _nobody(_program_ids: Collection[UUID]) -> None:
    """Hear of changed programs, and tell nobody."""


class Database:
    """A pool of connections to one database.

    `changed` is told, after the commit, of the programs that a transaction changed.
    """

    def __init__(self, engine: AsyncEngine, connections: Connections, changed: Changed) -> None:
        self._engine = engine
        self._connections = connections
        self._changed = changed
        self._begin = async_sessionmaker(engine, expire_on_commit=False).begin

    @classmethod
    def connect(
        cls, settings: DatabaseSettings, changed: Changed = _nobody, *, is_patient: bool = False
    ) -> "Database":
        """Make the pool; the first connection is opened when it is asked for.

        `is_patient` is for work that takes as long as it takes. SettingsError without an address.
        """
        connections = Connections(settings, is_patient=is_patient)
        engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=connections.open,
            poolclass=Pool,
            pool_size=settings.pool_size,
            max_overflow=0,
            pool_timeout=settings.pool_timeout_ms / 1_000,
            json_serializer=dump_document,
            json_deserializer=load_document,
        )
        event.listen(engine.sync_engine, "handle_error", _give_up_hung)
        hand_out_the_living(engine)
        return cls(engine, connections, changed)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Begin a unit of work; it is committed at the end and rolled back on any exception.

        Raises DatabaseUnavailableError where the database does not answer or no connection
        comes free in time, and SettingsError where its address cannot be right.
        """
        with spending("database"), _translated():
            async with self._begin() as session:
                yield Transaction(session)
        if changed := session.info.get(CHANGED):
            self._changed(changed)

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[Transaction]:
        """Give the stores without a transaction: each statement is committed by itself.

        For what PostgreSQL refuses within one (DETACH … CONCURRENTLY), and for single statements
        whose locks many wait for: they go as soon as the server is done, and not when this process
        comes round to a commit. Raises as `transaction`.
        """
        async with self._connection() as connection:
            plain = await connection.execution_options(isolation_level="AUTOCOMMIT")
            async with AsyncSession(plain) as session:
                yield Transaction(session)

    async def open_connection(self) -> Link:
        """Open a connection beside the pool, for one who keeps it until `close`.

        Raises what the driver raises.
        """
        return await self._connections.open()

    async def open_notices(self) -> NoticeLink:
        """Open a connection beside the pool for notices; raises what the driver raises."""
        return NoticeLink(await self.open_connection())

    async def make_partitions(self, ids: Sequence[UUID]) -> Sequence[str]:
        """Make the partitions in which these ids lie; name those that were new."""
        async with self.transaction() as tx:
            return await tx.partitions.ensure_for(ids)

    async def make_weeks_ahead(self) -> None:
        """Make the partitions of the weeks to come."""
        async with self.transaction() as tx:
            await tx.partitions.ensure(WEEKS_AHEAD)

    async def clock_offset_s(self, clock: Clock) -> float:
        """Measure how far the database's clock is ahead of this machine's, in seconds."""
        async with self._connection() as connection:
            before = clock.now()
            theirs: datetime = (await connection.scalars(select(func.clock_timestamp()))).one()
            middle = before + (clock.now() - before) / 2
        return (theirs.astimezone(UTC) - middle).total_seconds()

    async def ping(self) -> None:
        """Make one round trip; DatabaseUnavailableError where there is no answer."""
        await self.server_version()

    async def server_version(self) -> str:
        """Ask for PostgreSQL's version; DatabaseUnavailableError where there is no answer."""
        async with self._connection() as connection:
            version: str = (await connection.scalars(text("SHOW server_version"))).one()
        return version

    async def require_head(self) -> None:
        """Raise SchemaError where the schema is older than this program is written for.

        A newer one serves it too: it may have been migrated for the program that comes next.
        """
        found = await self._revision()
        head, *older = _revisions()
        if found is None or found in older:
            raise SchemaError(
                f"The database's schema is at {found or 'nothing'}, this program needs {head}: "
                "run `dspatch migrate`."
            )

    @classmethod
    async def migrate(cls, settings: DatabaseSettings) -> None:
        """Bring the schema of a database to the newest revision, unless it is a newer one."""
        database = cls.connect(settings, is_patient=True)
        try:
            await database.run_sync(_upgrade)
        finally:
            await database.close()

    def pool_counts(self) -> dict[str, int]:
        """Count the pool's connections by state; they add up to its size."""
        pool = self._pool
        used, idle = pool.checkedout(), pool.checkedin()
        return {"checked_out": used, "idle": idle, "unopened": pool.size() - used - idle}

    def pool_waiting(self) -> int:
        """Count those who wait for one of the pool's connections."""
        return self._pool.waiting

    async def run_sync(self, work: Callable[[Connection], T]) -> T:
        """Run blocking work, such as Alembic's, on one connection, and commit it."""
        async with self._connection() as connection:
            result = await connection.run_sync(work)
            await connection.commit()
            return result

    async def close(self) -> None:
        """Close every connection."""
        self._connections.close()
        await self._engine.dispose(close=False)

    async def _revision(self) -> str | None:
        """Read what Alembic has written, in one round trip: a busy process is asked often."""
        async with self._connection() as connection:
            plain = await connection.execution_options(isolation_level="AUTOCOMMIT")
            try:
                revision: str | None = await plain.scalar(select(_VERSIONS.c.version_num))
            except ProgrammingError as error:
                if _sqlstate(error) != _UNDEFINED_TABLE:
                    raise
                return None
        return revision

    @property
    def _pool(self) -> Pool:
        pool = self._engine.pool
        assert isinstance(pool, Pool)  # noqa: S101 - the one that `connect` makes
        return pool

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        with _translated():
            async with self._engine.connect() as connection:
                yield connection


def _give_up_hung(context: ExceptionContext) -> None:
    """Let go of a connection on which no answer came, lest what follows on it waits as long."""
    if isinstance(context.original_exception, TimeoutError):
        context.is_disconnect = True


@cache
def _revisions() -> tuple[str, ...]:
    """Read the folder of migrations, which does not change while a process lives: newest first."""
    scripts = ScriptDirectory.from_config(alembic_config())
    return tuple(script.revision for script in scripts.walk_revisions())


def _upgrade(connection: Connection) -> None:
    """Upgrade; of several that try at once, one does it and the others find it done.

    Waiting for each other and the work itself take as long as they take; only a table that
    somebody else keeps locked is not waited for longer than a statement may.
    """
    for limit in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        connection.execute(text(f"SET LOCAL {limit} = 0"))
    connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
    connection.execute(text("SET LOCAL lock_timeout TO DEFAULT"))
    found = MigrationContext.configure(connection).get_current_revision()
    if found is None or found in _revisions():
        command.upgrade(alembic_config(connection), "head")


def alembic_config(connection: Connection | None = None) -> Config:
    """Tell Alembic where the migrations are, and to run them on `connection`."""
    config = Config(_ROOT / "alembic.ini")
    config.attributes["connection"] = connection
    return config


@contextmanager
def _translated() -> Iterator[None]:
    """Say DatabaseUnavailableError for every way in which a database can be away."""
    try:
        yield
    except (*LOST, PoolTimeoutError) as error:
        raise _unavailable(error) from error
    except asyncpg.PostgresError as error:  # from COPY, of which SQLAlchemy knows nothing
        if is_away(error):
            raise _unavailable(error) from error
        raise
    except DBAPIError as error:
        if error.connection_invalidated or says_away(_sqlstate(error)):
            raise _unavailable(error.orig) from error
        raise


def _sqlstate(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def _unavailable(reason: BaseException | None) -> DatabaseUnavailableError:
    logger.warning("the database is away: %s: %s", type(reason).__name__, reason)
    return DatabaseUnavailableError("The database does not answer.", retry_after_s=RETRY_AFTER_S)
