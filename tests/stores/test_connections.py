"""Connections that are open and no good: the server hangs, or has said its last word."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from time import monotonic
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from app.database import Database
from app.errors import DatabaseUnavailableError
from app.local.postgres import LocalPostgres
from app.settings import DatabaseSettings
from app.stores.availability import has_unknown_outcome, is_away
from app.stores.pool import PING_AFTER_S
from tests.support.outages import frozen
from tests.support.proxy import Proxy, proxied
from tests.support.wait import wait_until

POOL = 2
ANSWER_S = 0.4
NEVER_S = 20.0
"""By then no limit would have ended the wait; how busy the machine is takes seconds, too."""

SHORT = {"statement_timeout_ms": 300, "hang_timeout_ms": 100, "pool_size": POOL}


@pytest.fixture
def address(own_postgres: LocalPostgres) -> SecretStr:
    """The address of a server that may be frozen."""
    return SecretStr(own_postgres.url("postgres"))


@pytest.fixture
async def behind(database_url: str) -> AsyncIterator[tuple[Proxy, Database]]:
    """A pool of one connection that has been opened through a proxy."""
    with tempfile.TemporaryDirectory(prefix="proxy-") as folder:
        async with proxied(database_url, Path(folder)) as (proxy, url):
            database = Database.connect(DatabaseSettings(url=SecretStr(url), pool_size=1))
            await database.ping()
            yield proxy, database
            await database.close()


@pytest.fixture
async def pool(address: SecretStr) -> AsyncIterator[Database]:
    """A pool whose connections have all been opened."""
    database = Database.connect(DatabaseSettings(url=address, **SHORT))
    await asyncio.gather(*(database.ping() for _ in range(POOL)))
    yield database
    await database.close()


async def execute(tx: Any, statement: str = "SELECT 1") -> None:
    """Run a statement within a unit of work."""
    await tx._session.execute(text(statement))


async def in_time(work: Callable[[], Any]) -> None:
    """Expect that work finds the database away, after the limit and not long after it."""
    began = monotonic()
    with pytest.raises(DatabaseUnavailableError):
        await work()
    assert ANSWER_S < monotonic() - began < NEVER_S


@pytest.mark.parametrize("at_the_end", [False, True], ids=["a statement", "the commit"])
async def test_an_answer_is_not_waited_for_without_end(
    own_postgres: LocalPostgres, pool: Database, *, at_the_end: bool
) -> None:
    """A statement or a commit without answer is a database that is away; then the pool is whole."""
    async with AsyncExitStack() as freeze:

        async def work() -> None:
            async with pool.transaction() as tx:
                await execute(tx)
                await freeze.enter_async_context(frozen(own_postgres))
                if not at_the_end:
                    await execute(tx)

        await in_time(work)
    await asyncio.gather(*(pool.ping() for _ in range(2 * POOL)))
    assert pool.pool_counts()["checked_out"] == 0


async def test_connections_that_were_idle_are_used_after_a_hang(
    own_postgres: LocalPostgres, pool: Database
) -> None:
    """Every way to a connection ends in time; afterwards none is poisoned."""
    async with frozen(own_postgres):
        await asyncio.gather(*(in_time(pool.ping) for _ in range(2 * POOL)))
    await asyncio.gather(*(pool.ping() for _ in range(2 * POOL)))


async def test_a_connection_beside_the_pool_has_the_same_limit(
    own_postgres: LocalPostgres, pool: Database
) -> None:
    """What its last statement did is not known then."""
    link = await pool.open_connection()
    async with frozen(own_postgres):
        with pytest.raises(TimeoutError) as hung:
            await link.fetch("SELECT 1")
    assert is_away(hung.value)
    assert has_unknown_outcome(hung.value)


async def test_a_hang_does_not_hold_the_end(own_postgres: LocalPostgres, pool: Database) -> None:
    """Nobody says goodbye to a server that does not listen."""
    await pool.open_connection()
    async with frozen(own_postgres):
        began = monotonic()
        await pool.close()
    assert monotonic() - began < ANSWER_S


async def test_the_last_words_of_a_server_are_an_end(
    behind: tuple[Proxy, Database], database: Database
) -> None:
    """Before the connection is closed: in a unit of work as after a loss, unseen after a while."""
    proxy, behind_it = behind

    async def work() -> None:
        async with behind_it.transaction() as tx:
            await execute(tx)
            proxy.say_farewell()
            await database.ping()  # by then it has been heard
            await execute(tx)

    with pytest.raises(DatabaseUnavailableError):
        await work()
    await behind_it.ping()
    idle_since = monotonic()
    proxy.say_farewell()
    await wait_until(lambda: monotonic() - idle_since > PING_AFTER_S)
    await behind_it.ping()


async def test_the_last_words_of_a_server_beside_the_pool(
    behind: tuple[Proxy, Database], database: Database
) -> None:
    """They are an outage there, too."""
    proxy, behind_it = behind
    link = await behind_it.open_connection()
    proxy.say_farewell()
    await database.ping()
    with pytest.raises(asyncpg.InternalClientError) as failure:
        await link.fetch("SELECT 1")
    assert is_away(failure.value)
    assert has_unknown_outcome(failure.value)
