import asyncio
import logging
import socket
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from app.database import _MIGRATION_LOCK, Database, SchemaError
from app.errors import DatabaseUnavailableError, SignatureNotFoundError
from app.local.postgres import LocalPostgres
from app.policies.clock import SystemClock
from app.settings import DatabaseSettings, SettingsError
from app.stores.availability import RETRY_AFTER_S
from app.stores.pool import PING_AFTER_S
from app.stores.transaction import Transaction
from tests.stores.rows import IDS, a_signature
from tests.support.clock import ManualClock
from tests.support.wait import wait_until

SECRET = "s3cret"  # noqa: S105 - what must not be seen

Connect = Callable[..., Database]


@pytest.fixture
async def connect(database_url: str) -> AsyncIterator[Connect]:
    """Give a function that makes a pool, which is closed after the test."""
    opened: list[Database] = []

    def connect(url: str = database_url, **settings: int) -> Database:
        database = Database.connect(DatabaseSettings(url=SecretStr(url), **settings))
        opened.append(database)
        return database

    yield connect
    for database in opened:
        await database.close()


@pytest.fixture
async def watcher(database_url: str) -> AsyncIterator[Any]:
    """A connection of the test's own, beside the pool."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name of the test's own, for a database or an application."""
    return f"t{zlib.crc32(request.node.name.encode())}"


@pytest.fixture
async def empty_url(postgres: LocalPostgres, name: str) -> str:
    """The address of a database without a schema."""
    await postgres.ensure_database(name)
    return postgres.url(name)


@pytest.fixture
def bound_port() -> Iterator[tuple[socket.socket, int]]:
    """A port that is taken, where nobody listens until the test does."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken, taken.getsockname()[1]


async def ask(database: Database, query: str) -> Any:
    """Give the answer to a query."""
    return await database.run_sync(lambda link: link.scalar(text(query)))


async def execute(tx: Transaction, statement: str) -> None:
    """Run a statement within a unit of work."""
    await tx._session.execute(text(statement))


async def becomes(watcher: Any, query: str, expected: object) -> None:
    """Ask the server again and again until it gives the expected answer."""
    async with asyncio.timeout(20):
        while await watcher.fetchval(query) != expected:
            pass


def connections(application: str, *states: str) -> str:
    """Make the query that counts an application's connections, in some states or in any."""
    among = f" AND state IN {(*states, '')}" if states else ""
    return f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{application}'{among}"  # noqa: S608


# Addresses


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", ""),
        ("postgresql://", "postgres://"),
        ("postgresql://", "postgresql+asyncpg://"),
        ("&port=5432", "&port=5432&sslmode=disable"),
        ("&port=5432", "&port=5432&sslmode=prefer"),
        ("&port=5432", "&port=5432&target_session_attrs=read-write"),
        ("postgres@/", "/"),
    ],
)
async def test_addresses_of_every_spelling_connect(
    database_url: str, connect: Connect, old: str, new: str
) -> None:
    """What libpq and SQLAlchemy read as an address of this server leads to it."""
    url = database_url.replace(old, new, 1) + ("&user=postgres" if new == "/" else "")
    database = connect(url)
    await database.ping()
    assert await ask(database, "SELECT current_user") == "postgres"


async def test_options_of_the_address_hold(database_url: str, connect: Connect) -> None:
    """Settings of the session stand in the address, as libpq's `options` or by name."""
    options = "&options=-c%20timezone%3DAsia/Tokyo&application_name=by%20name"
    database = connect(database_url + options)
    assert await ask(database, "SHOW timezone") == "Asia/Tokyo"
    assert await ask(database, "SHOW application_name") == "by name"


async def test_the_next_server_of_an_address_is_tried(database_url: str, connect: Connect) -> None:
    """Of several hosts, one that does not answer is passed over."""
    host = database_url.partition("host=")[2].partition("&")[0]
    nowhere = "/nowhere," + host
    database = connect(database_url.replace(host, nowhere).replace("5432", "5432,5432"))
    await database.ping()


async def test_a_session_has_the_timeouts_of_the_settings(connect: Connect) -> None:
    """No statement, wait for a lock, or idle transaction is without a limit."""
    database = connect(statement_timeout_ms=1_234)
    for limit in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        assert await ask(database, f"SHOW {limit}") == "1234ms"


@pytest.mark.parametrize("url", [None, SecretStr("")])
def test_an_address_is_needed(url: SecretStr | None) -> None:
    """Without an address, or with an empty one, the refusal names the setting."""
    with pytest.raises(SettingsError, match=r"^database\.url: needed"):
        Database.connect(DatabaseSettings(url=url))


@pytest.mark.parametrize(
    ("url", "refused"),
    [
        (SECRET, "scheme is expected"),
        (f"mysql://user:{SECRET}@host/name", "scheme is expected"),
        (f"postgresql+psycopg://user:{SECRET}@host/name", "scheme is expected"),
        (f"postgresql://user:{SECRET}@host/name?sslmode=strange", "`sslmode` parameter must be"),
        (f"postgresql://user:{SECRET}/more@host/name", "not an address"),
        (f"postgresql://user:{SECRET}@host:port/name", "not an address"),
        (f"postgresql://user:{SECRET}@[host/name", "not an address"),
        (f"postgresql://user:{SECRET}@,host/name", "not an address"),
    ],
)
async def test_a_wrong_address_is_a_wrong_setting(connect: Connect, url: str, refused: str) -> None:
    """What cannot be an address is refused by the setting's name, without its password."""
    with pytest.raises(SettingsError) as error:
        await connect(url).ping()
    assert str(error.value).startswith("database.url: ")
    assert refused in str(error.value)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    ("parameter", "refused"),
    [
        ("strange=1", 'unrecognized configuration parameter "strange"'),
        ("work_mem=much", 'invalid value for parameter "work_mem": "much"'),
        ("server_version=9", 'parameter "server_version" cannot be changed'),
    ],
)
async def test_a_parameter_that_the_server_refuses_is_a_wrong_setting(
    database_url: str, connect: Connect, parameter: str, refused: str
) -> None:
    """A session's setting in the address that cannot be is refused in the server's words."""
    with pytest.raises(SettingsError, match=f"^database.url: {refused}"):
        await connect(f"{database_url}&{parameter}").ping()


# A database that is away


async def require_away(database: Database, caplog: pytest.LogCaptureFixture) -> str:
    """Expect that the database is away, told apart from its reason, which the log has."""
    caplog.clear()
    with pytest.raises(DatabaseUnavailableError) as away:
        await database.ping()
    assert away.value.detail == "The database does not answer."
    assert away.value.retry_after_s == RETRY_AFTER_S
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    return record.getMessage()


async def test_nobody_listens(
    connect: Connect, bound_port: tuple[socket.socket, int], caplog: pytest.LogCaptureFixture
) -> None:
    """A refused connection is a database that is away; the log says so without the password."""
    database = connect(f"postgresql://user:{SECRET}@127.0.0.1:{bound_port[1]}/name")
    reason = await require_away(database, caplog)
    assert reason.startswith("the database is away: ConnectionRefusedError")
    assert SECRET not in reason


async def test_there_is_no_socket(
    connect: Connect, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder without a server's socket is a database that is away."""
    database = connect(f"postgresql://postgres@/name?host={tmp_path}&port=5432")
    assert "No such file" in await require_away(database, caplog)


async def test_somebody_listens_and_says_nothing(
    connect: Connect, bound_port: tuple[socket.socket, int], caplog: pytest.LogCaptureFixture
) -> None:
    """A server that takes the connection and stays silent is waited for no longer than said."""
    listener, port = bound_port
    listener.listen()
    database = connect(f"postgresql://user@127.0.0.1:{port}/name", pool_timeout_ms=100)
    async with asyncio.timeout(5):
        assert "TimeoutError" in await require_away(database, caplog)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("postgres@", "nobody@", 'role "nobody" does not exist'),
        ("/dspatch_", "/nothing_", "does not exist"),
    ],
)
async def test_the_server_does_not_know_us(
    database_url: str,
    connect: Connect,
    caplog: pytest.LogCaptureFixture,
    old: str,
    new: str,
    reason: str,
) -> None:
    """A login or a database that was taken away is no bug of ours: the log has the reason."""
    database = connect(database_url.replace(old, new, 1))
    assert reason in await require_away(database, caplog)


async def test_the_server_has_no_connection_left(
    database_url: str, connect: Connect, watcher: Any, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A role that may not connect once more finds the database away."""
    await watcher.execute(f"CREATE ROLE {name} LOGIN CONNECTION LIMIT 0")
    database = connect(database_url.replace("postgres@", f"{name}@", 1))
    assert "too many connections" in await require_away(database, caplog)
    await watcher.execute(f"DROP ROLE {name}")


async def test_a_server_that_stops_is_away_until_it_is_back(
    own_postgres: LocalPostgres, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """A stopped server is told to be away, and is used again without a word when it is back."""
    await own_postgres.start()
    database = connect(own_postgres.url("postgres"))
    await database.ping()
    await own_postgres.stop()
    assert "away" in await require_away(database, caplog)
    await own_postgres.start()
    caplog.clear()
    await database.ping()
    assert not caplog.records


async def test_a_connection_that_broke_while_it_was_idle_is_replaced(
    database_url: str, connect: Connect, watcher: Any, name: str
) -> None:
    """A restart of the server between two units of work disturbs neither."""
    database = connect(f"{database_url}&application_name={name}", pool_size=1)
    await database.ping()
    idle_since = SystemClock().monotonic()
    ended = connections(name).replace("count(*)", "pg_terminate_backend(pid)")
    assert await watcher.fetchval(ended) is True
    await wait_until(lambda: SystemClock().monotonic() - idle_since > PING_AFTER_S)
    await database.ping()


@pytest.mark.parametrize("last", ["SELECT 1", None], ids=["before a statement", "before commit"])
async def test_a_server_that_stops_in_a_unit_of_work(
    own_postgres: LocalPostgres, connect: Connect, last: str | None
) -> None:
    """A connection that is lost in the middle is a database that is away."""
    await own_postgres.start()
    database = connect(own_postgres.url("postgres"))

    async def work() -> None:
        async with database.transaction() as tx:
            await execute(tx, "SELECT 1")
            await own_postgres.stop()
            if last is not None:
                await execute(tx, last)

    with pytest.raises(DatabaseUnavailableError):
        await work()


async def test_an_exhausted_pool_is_waited_for_no_longer_than_said(connect: Connect) -> None:
    """Who finds no free connection in time is told to come again, and then finds one."""
    database = connect(pool_size=1, pool_timeout_ms=250)
    async with database.transaction() as tx:
        await execute(tx, "SELECT 1")
        began = SystemClock().monotonic()
        with pytest.raises(DatabaseUnavailableError) as away:
            await database.ping()
        assert 0.2 < SystemClock().monotonic() - began < 5
        assert database.pool_waiting() == 0
        assert away.value.retry_after_s == RETRY_AFTER_S
    await database.ping()


async def test_who_waits_for_a_connection_gets_the_next_free_one(connect: Connect) -> None:
    """More units of work than connections are done one after the other."""
    database = connect(pool_size=2, pool_timeout_ms=10_000)
    assert await asyncio.gather(*(ask(database, "SELECT 1") for _ in range(30))) == [1] * 30


async def test_those_who_wait_for_a_connection_are_counted(connect: Connect) -> None:
    """As long as they do."""
    database = connect(pool_size=1, pool_timeout_ms=10_000)
    async with database.transaction() as tx:
        await execute(tx, "SELECT 1")
        asking = [asyncio.create_task(database.ping()) for _ in range(3)]
        await wait_until(lambda: database.pool_waiting() == 3)
    await asyncio.gather(*asking)
    assert database.pool_waiting() == 0


async def test_a_statement_that_takes_too_long_is_ended(connect: Connect) -> None:
    """A statement over the limit is a database that is away; the connection goes on."""
    database = connect(pool_size=1, statement_timeout_ms=250)
    with pytest.raises(DatabaseUnavailableError):
        await ask(database, "SELECT pg_sleep(60)")
    assert await ask(database, "SELECT 1") == 1


async def test_a_lock_is_not_waited_for_without_end(connect: Connect, watcher: Any) -> None:
    """A lock that does not come free is a database that is away."""
    await watcher.execute("SELECT pg_advisory_lock(4711)")
    with pytest.raises(DatabaseUnavailableError):
        await ask(connect(statement_timeout_ms=50), "SELECT pg_advisory_lock(4711)")


async def test_an_idle_unit_of_work_loses_its_connection(
    database_url: str, connect: Connect, watcher: Any, name: str
) -> None:
    """The server ends a transaction that somebody forgot, and its next statement says so."""
    database = connect(f"{database_url}&application_name={name}", statement_timeout_ms=250)

    async def forget() -> None:
        async with database.transaction() as tx:
            await execute(tx, "SELECT 1")
            await becomes(watcher, connections(name), 0)
            await execute(tx, "SELECT 1")

    with pytest.raises(DatabaseUnavailableError):
        await forget()
    await database.ping()


# Units of work


async def test_a_unit_of_work_is_kept_as_a_whole(database: Database) -> None:
    """What is written is seen within, and by others from the end on."""
    async with database.transaction() as tx:
        added = await a_signature(tx)
        assert await tx.signatures.get(added.id) is added
        async with database.transaction() as other:
            with pytest.raises(SignatureNotFoundError):
                await other.signatures.get(added.id)
    async with database.transaction() as tx:
        assert (await tx.signatures.get(added.id)).name == added.name


@pytest.mark.parametrize("failure", [ValueError("no"), asyncio.CancelledError()])
async def test_an_exception_undoes_the_unit_of_work(
    database: Database, failure: BaseException
) -> None:
    """Whatever climbs out of the block climbs on as it is, and nothing is kept."""
    signature_id = IDS.new()

    async def work() -> None:
        async with database.transaction() as tx:
            await a_signature(tx, id=signature_id)
            raise failure

    with pytest.raises(type(failure)) as climbed:
        await work()
    assert climbed.value is failure
    async with database.transaction() as tx:
        with pytest.raises(SignatureNotFoundError):
            await tx.signatures.get(signature_id)


async def test_a_wrong_statement_is_a_bug(connect: Connect) -> None:
    """What the database refuses for good is not called a database that is away."""
    with pytest.raises(ProgrammingError):
        await ask(connect(), "SELECT nonsense")


async def test_rows_are_read_after_the_unit_of_work(database: Database) -> None:
    """What was read stays readable when the connection is gone."""
    async with database.transaction() as tx:
        added = await a_signature(tx)
    await database.close()
    assert added.name.startswith("signature_")


@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
@pytest.mark.parametrize("statement", ["SELECT pg_sleep(60)", None], ids=["busy", "idle"])
async def test_a_cancelled_unit_of_work_gives_its_connection_back(
    database_url: str, connect: Connect, watcher: Any, name: str, statement: str | None, times: int
) -> None:
    """Cancelled in a statement or between two, no transaction stays open and the pool is whole."""
    limits = {"pool_timeout_ms": 5_000, "statement_timeout_ms": 2_000}  # a cancel may be lost
    database = connect(f"{database_url}&application_name={name}", pool_size=2, **limits)

    async def work() -> None:
        async with database.transaction() as tx:
            await execute(tx, "SELECT 1")
            await (execute(tx, statement) if statement else asyncio.Event().wait())

    state = "active" if statement else "idle in transaction"
    tasks = [asyncio.create_task(work()) for _ in range(2)]
    await becomes(watcher, connections(name, state), 2)
    for _ in range(times):
        for task in tasks:
            task.cancel()
        await asyncio.sleep(0)
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(end) for end in ends] == [asyncio.CancelledError] * 2
    await becomes(watcher, connections(name, "active", "idle in transaction"), 0)
    async with database.transaction() as first, database.transaction() as second:
        await execute(first, "SELECT 1")
        await execute(second, "SELECT 1")


async def test_who_is_cancelled_while_waiting_takes_no_connection(connect: Connect) -> None:
    """A wait for a connection that is cancelled leaves the pool as it was."""
    database = connect(pool_size=1, pool_timeout_ms=10_000)
    async with database.transaction() as tx:
        await execute(tx, "SELECT 1")
        waiting = [asyncio.create_task(database.ping()) for _ in range(5)]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        ends = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(end) for end in ends} == {asyncio.CancelledError}
    await asyncio.wait_for(database.ping(), 5)


async def test_close_leaves_no_connection(
    database_url: str, connect: Connect, watcher: Any, name: str
) -> None:
    """A closed pool has no connection to the server; used again, it opens one."""
    database = connect(f"{database_url}&application_name={name}")
    await database.ping()
    assert await watcher.fetchval(connections(name)) == 1
    await database.close()
    await becomes(watcher, connections(name), 0)


async def test_blocking_work_is_kept(connect: Connect, empty_url: str) -> None:
    """What `run_sync` does is committed, and undone where it fails."""
    database = connect(empty_url)
    await database.run_sync(lambda link: link.execute(text("CREATE TABLE kept (a int)")))

    def fail(link: Connection) -> None:
        link.execute(text("CREATE TABLE lost (a int)"))
        link.execute(text("nonsense"))

    with pytest.raises(ProgrammingError):
        await database.run_sync(fail)
    assert await ask(database, "SELECT to_regclass('kept') IS NOT NULL") is True
    assert await ask(database, "SELECT to_regclass('lost') IS NULL") is True


# The clock


@pytest.mark.parametrize("ahead_s", [-3_600, 0, 3_600])
async def test_the_offset_of_the_clocks_is_measured(connect: Connect, ahead_s: int) -> None:
    """The offset is how far the database's clock is ahead of the one given."""
    ours = ManualClock(datetime.now(UTC) - timedelta(seconds=ahead_s))
    assert abs(await connect().clock_offset_s(ours) - ahead_s) < 5


# The schema


async def test_a_database_without_schema_is_refused_until_it_is_migrated(
    connect: Connect, empty_url: str
) -> None:
    """The refusal says where the schema is, and what to do."""
    database = connect(empty_url)
    with pytest.raises(SchemaError, match=r"is at nothing.*run `dspatch migrate`"):
        await database.require_head()
    await Database.migrate(DatabaseSettings(url=SecretStr(empty_url)))
    await database.require_head()
    await Database.migrate(DatabaseSettings(url=SecretStr(empty_url)))
    await database.require_head()


async def test_a_newer_schema_serves(connect: Connect, empty_url: str) -> None:
    """A database that was migrated for the next program serves this one, which leaves it so."""
    await Database.migrate(DatabaseSettings(url=SecretStr(empty_url)))
    database = connect(empty_url)
    async with database.transaction() as tx:
        await execute(tx, "UPDATE alembic_version SET version_num = 'newer'")
    await database.require_head()
    await Database.migrate(DatabaseSettings(url=SecretStr(empty_url)))
    assert await ask(database, "SELECT version_num FROM alembic_version") == "newer"


async def test_a_table_of_versions_that_is_not_alembics_is_a_bug(
    connect: Connect, empty_url: str
) -> None:
    """Nobody has made it but somebody by hand."""
    database = connect(empty_url)
    async with database.transaction() as tx:
        await execute(tx, "CREATE TABLE alembic_version (other text)")
    with pytest.raises(ProgrammingError):
        await database.require_head()


async def test_many_who_migrate_at_once_all_succeed(connect: Connect, empty_url: str) -> None:
    """Of several at once one migrates, and the others find it done."""
    settings = DatabaseSettings(url=SecretStr(empty_url))
    await asyncio.gather(*(Database.migrate(settings) for _ in range(4)))
    await connect(empty_url).require_head()


async def test_a_migration_may_take_longer_than_a_statement(
    postgres: LocalPostgres, connect: Connect, empty_url: str, name: str
) -> None:
    """Who waits for another's migration waits for as long as that takes."""
    other = await asyncpg.connect(postgres.url(name))
    await other.execute(f"SELECT pg_advisory_lock({_MIGRATION_LOCK})")
    url = SecretStr(f"{empty_url}&application_name={name}")
    settings = DatabaseSettings(url=url, statement_timeout_ms=250, hang_timeout_ms=50)
    migration = asyncio.create_task(Database.migrate(settings))
    long_waiting = "query_start < clock_timestamp() - interval '600 ms' AND wait_event = 'advisory'"
    await becomes(other, f"{connections(name)} AND {long_waiting}", 1)
    await other.close()
    await migration
    await connect(empty_url).require_head()


async def test_a_migration_does_not_queue_behind_a_locked_table(
    connect: Connect, empty_url: str
) -> None:
    """A table that somebody keeps locked ends the migration, before others queue behind it."""
    other = await asyncpg.connect(empty_url)
    await other.execute("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
    settings = DatabaseSettings(url=SecretStr(empty_url), statement_timeout_ms=250)
    async with other.transaction():
        await other.execute("LOCK TABLE alembic_version")
        with pytest.raises(DatabaseUnavailableError):
            await Database.migrate(settings)
    await other.close()
    with pytest.raises(SchemaError):
        await connect(empty_url).require_head()


# Beside the unit of work


async def test_what_no_transaction_may_do_is_done_without_one(
    connect: Connect, empty_url: str
) -> None:
    """Each statement is committed by itself, also those that a transaction may not hold."""
    database = connect(empty_url)

    async def work() -> None:
        async with database.autocommit() as tx:
            await execute(tx, "CREATE TABLE kept (a int)")
            await execute(tx, "CREATE INDEX CONCURRENTLY ON kept (a)")
            raise ValueError("too late")

    with pytest.raises(ValueError, match="too late"):
        await work()
    assert await ask(database, "SELECT to_regclass('kept') IS NOT NULL") is True
    async with database.transaction() as tx:
        with pytest.raises(DBAPIError, match="cannot run inside a transaction"):
            await execute(tx, "CREATE INDEX CONCURRENTLY ON kept (a)")
        await tx._session.rollback()


async def test_a_connection_beside_the_pool_is_closed_with_it(
    connect: Connect, database_url: str, watcher: Any, name: str
) -> None:
    """It takes none of the pool's, and whoever keeps it need not close it."""
    database = connect(f"{database_url}&application_name={name}", pool_size=1)
    kept = [await database.open_connection() for _ in range(2)]
    await database.ping()
    await kept[0].close()
    await database.open_connection()
    await database.close()
    await becomes(watcher, connections(name), 0)
