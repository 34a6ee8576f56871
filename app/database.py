"""The database: its connections, the unit of work, the schema's revision."""

import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import cache, cached_property
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
from sqlalchemy.pool import AsyncAdaptedQueuePool, PoolProxiedConnection
from typing_extensions import override

from app.errors import DatabaseUnavailableError
from app.policies.clock import Clock
from app.settings import DatabaseSettings
from app.stores.api_keys import ApiKeyStore
from app.stores.audit import AuditStore
from app.stores.availability import LOST, RETRY_AFTER_S, is_away, says_away
from app.stores.batch_items import BatchItemStore
from app.stores.batch_lanes import LaneStore
from app.stores.batch_uploads import BatchUploadStore
from app.stores.batches import BatchStore
from app.stores.connections import Connections, Link
from app.stores.documents import dump_document, load_document
from app.stores.executions import ExecutionStore
from app.stores.expired_batches import ExpiredBatchStore
from app.stores.expired_deliveries import ExpiredDeliveryStore
from app.stores.expired_executions import ExpiredExecutionStore
from app.stores.expired_weeks import ExpiredWeekStore
from app.stores.housekeeping import HousekeepingStore
from app.stores.idempotency_keys import IdempotencyKeyStore
from app.stores.idle_batches import IdleBatchStore
from app.stores.jobs import JobStore
from app.stores.notices import NoticeLink
from app.stores.partitions import WEEKS_AHEAD, PartitionStore
from app.stores.pending_executions import PendingExecutionStore
from app.stores.processes import ProcessStore
from app.stores.programs import CHANGED, ProgramStore
from app.stores.retention import RetentionStore
from app.stores.server_connections import ServerConnectionStore
from app.stores.signatures import SignatureStore
from app.stores.statistics import StatisticsStore
from app.stores.webhook_deliveries import WebhookDeliveryStore
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


class Transaction:
    """One unit of work; its stores see each other's writes and end together."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    @cached_property
    def signatures(self) -> SignatureStore:
        """The rows of `signatures`."""
        return SignatureStore(self._session)

    @cached_property
    def programs(self) -> ProgramStore:
        """The rows of `programs` and `program_revisions`."""
        return ProgramStore(self._session)

    @cached_property
    def executions(self) -> ExecutionStore:
        """The rows of `executions`."""
        return ExecutionStore(self._session)

    @cached_property
    def batches(self) -> BatchStore:
        """The rows of `batches`."""
        return BatchStore(self._session)

    @cached_property
    def batch_items(self) -> BatchItemStore:
        """The rows of `executions` that are items of batches."""
        return BatchItemStore(self._session)

    @cached_property
    def batch_uploads(self) -> BatchUploadStore:
        """The rows of `batch_uploads`."""
        return BatchUploadStore(self._session)

    @cached_property
    def lanes(self) -> LaneStore:
        """The rows of `batch_lanes`."""
        return LaneStore(self._session)

    @cached_property
    def webhook_deliveries(self) -> WebhookDeliveryStore:
        """The rows of `webhook_deliveries`."""
        return WebhookDeliveryStore(self._session)

    @cached_property
    def idle_batches(self) -> IdleBatchStore:
        """The rows of `batches` and `batch_lanes` on which nobody works."""
        return IdleBatchStore(self._session)

    @cached_property
    def statistics(self) -> StatisticsStore:
        """Figures over the rows of `executions`."""
        return StatisticsStore(self._session)

    @cached_property
    def api_keys(self) -> ApiKeyStore:
        """The rows of `api_keys`."""
        return ApiKeyStore(self._session)

    @cached_property
    def audit(self) -> AuditStore:
        """The rows of `audit_entries`."""
        return AuditStore(self._session)

    @cached_property
    def idempotency_keys(self) -> IdempotencyKeyStore:
        """The rows of `idempotency_keys`."""
        return IdempotencyKeyStore(self._session)

    @cached_property
    def jobs(self) -> JobStore:
        """The rows of the job engine."""
        return JobStore(self._session)

    @cached_property
    def pending_executions(self) -> PendingExecutionStore:
        """The rows of `pending_executions`."""
        return PendingExecutionStore(self._session)

    @cached_property
    def processes(self) -> ProcessStore:
        """The rows of `processes`."""
        return ProcessStore(self._session)

    @cached_property
    def connections(self) -> ServerConnectionStore:
        """The connections of the server."""
        return ServerConnectionStore(self._session)

    @cached_property
    def retention(self) -> RetentionStore:
        """How long what has ended is kept."""
        return RetentionStore(self._session)

    @cached_property
    def expired_executions(self) -> ExpiredExecutionStore:
        """The rows of `executions` that need not be kept any more."""
        return ExpiredExecutionStore(self._session)

    @cached_property
    def expired_batches(self) -> ExpiredBatchStore:
        """The rows of `batches` that need not be kept any more."""
        return ExpiredBatchStore(self._session)

    @cached_property
    def expired_deliveries(self) -> ExpiredDeliveryStore:
        """The rows of `webhook_deliveries` that need not be kept any more."""
        return ExpiredDeliveryStore(self._session)

    @cached_property
    def housekeeping(self) -> HousekeepingStore:
        """What PostgreSQL knows of our tables."""
        return HousekeepingStore(self._session)

    @cached_property
    def expired_weeks(self) -> ExpiredWeekStore:
        """The partitions that need not be kept any more."""
        return ExpiredWeekStore(self._session)

    @cached_property
    def partitions(self) -> PartitionStore:
        """The partitions of `executions`."""
        return PartitionStore(self._session)


class _Pool(AsyncAdaptedQueuePool):
    """A pool that counts who waits for one of its connections, free or to be opened."""

    waiting = 0

    @override
    def connect(self) -> PoolProxiedConnection:
        self.waiting += 1
        try:
            return super().connect()
        finally:
            self.waiting -= 1


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
            poolclass=_Pool,
            pool_size=settings.pool_size,
            max_overflow=0,
            pool_timeout=settings.pool_timeout_ms / 1_000,
            pool_pre_ping=True,
            json_serializer=dump_document,
            json_deserializer=load_document,
        )
        event.listen(engine.sync_engine, "handle_error", _give_up_hung)
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

        For what PostgreSQL refuses within one (DETACH … CONCURRENTLY), and for nothing else.
        Raises as `transaction`.
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
    def _pool(self) -> _Pool:
        pool = self._engine.pool
        assert isinstance(pool, _Pool)  # noqa: S101 - the one that `connect` makes
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
