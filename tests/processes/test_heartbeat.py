from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from time import monotonic
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from pydantic import SecretStr

from app.database import Database
from app.errors import DatabaseUnavailableError
from app.local.postgres import LocalPostgres
from app.policies.clock import Clock, SystemClock
from app.processes.heartbeat import Heartbeat
from app.settings import DatabaseSettings, ProcessesSettings, Settings
from tests.stores.rows import ABOUT
from tests.support.clock import ManualClock
from tests.support.factories import new_ids
from tests.support.wait import wait_until, wait_until_so

BEAT_S = 0.05
LEASE_S = 0.5
OFTEN = ProcessesSettings(heartbeat_ms=50, lease_ms=500)
NOWHERE = DatabaseSettings(url=SecretStr("postgresql://nobody@127.0.0.1:1/nothing"))

Ask = Callable[[str], Awaitable[Any]]


@pytest.fixture
async def ask(database_url: str, database: Database) -> AsyncIterator[Ask]:  # noqa: ARG001 - emptied after us
    """Give a function that asks the database, beside every pool."""
    connection = await asyncpg.connect(database_url)
    yield connection.fetchval
    await connection.close()


@asynccontextmanager
async def beating(
    database: Database,
    own: DatabaseSettings,
    clock: Clock | None = None,
    rhythm: ProcessesSettings = OFTEN,
) -> AsyncIterator[tuple[Heartbeat, list[UUID]]]:
    """Enter as a process that beats by a connection of these settings; list what it gives up."""
    clock = clock or SystemClock()
    heartbeat = Heartbeat(partial(Database.connect, own), ABOUT, new_ids(), rhythm, clock)
    given_up: list[UUID] = []
    await heartbeat.open(database, given_up.append)
    try:
        yield heartbeat, given_up
    finally:
        await heartbeat.close()


def _heard(heartbeat: Heartbeat) -> str:
    return f"SELECT heartbeat_at FROM processes WHERE id = '{heartbeat.id}'"  # noqa: S608 - a UUID


async def test_a_process_enters_beats_and_leaves(
    database: Database, settings: Settings, ask: Ask
) -> None:
    """Its row says so on the database's clock."""
    async with beating(database, settings.database) as (heartbeat, given_up):
        first = await ask(_heard(heartbeat))
        assert heartbeat.owner_id() == heartbeat.id

        async def is_later() -> bool:
            return bool(await ask(_heard(heartbeat)) > first)

        await wait_until_so(is_later)
        assert await ask("SELECT ended_at FROM processes") is None
    assert await ask("SELECT count(*) FROM processes WHERE ended_at IS NOT NULL") == 1
    assert given_up == []


async def test_a_busy_event_loop_does_not_look_dead(
    database: Database, settings: Settings, ask: Ask
) -> None:
    """The beats go on in their thread, beside work that never gives way."""
    seldom = ProcessesSettings(heartbeat_ms=300, lease_ms=900)
    async with beating(database, settings.database, rhythm=seldom) as (heartbeat, given_up):
        before = await ask(_heard(heartbeat))
        busy_until = monotonic() + 2
        while monotonic() < busy_until:
            pass
        silent = await ask(f"SELECT now() - ({_heard(heartbeat)})")
        after = await ask(_heard(heartbeat))
    assert after > before
    assert silent.total_seconds() < seldom.lease_ms / 1_000
    assert given_up == []


async def test_who_was_given_up_goes_on_as_another(
    database: Database, settings: Settings, ask: Ask
) -> None:
    """Under a new id, never on the old row again; what ran under the old id is told."""
    async with beating(database, settings.database) as (heartbeat, given_up):
        old = heartbeat.id
        await ask("UPDATE processes SET ended_at = now()")
        await wait_until(lambda: bool(given_up))
        assert heartbeat.owner_id() == heartbeat.id != old
        assert await ask(f"SELECT ended_at FROM processes WHERE id = '{heartbeat.id}'") is None  # noqa: S608 - a UUID
        assert await ask(f"SELECT ended_at FROM processes WHERE id = '{old}'") is not None  # noqa: S608 - a UUID
    assert given_up == [old]


async def test_who_was_not_heard_of_for_a_lease_begins_nothing(database: Database) -> None:
    """It may have been given up; its client is told to come again."""
    clock = ManualClock()
    async with beating(database, NOWHERE, clock) as (heartbeat, _):
        clock.advance(LEASE_S)
        assert heartbeat.owner_id() == heartbeat.id
        clock.advance(0.01)
        with pytest.raises(DatabaseUnavailableError, match="not heard") as refused:
            heartbeat.owner_id()
    assert refused.value.retry_after_s == 1


async def test_a_beat_that_fails_is_tried_again_soon(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """A database that is away is a line in the log each time, no trace."""
    async with beating(database, NOWHERE):
        await wait_until(
            lambda: caplog.messages.count("no heartbeat: DatabaseUnavailableError") > 1
        )


async def test_a_bug_does_not_end_the_beating(
    database: Database, postgres: LocalPostgres, caplog: pytest.LogCaptureFixture
) -> None:
    """What nobody thought of is logged with its trace, and the next beat is tried."""
    elsewhere = DatabaseSettings(url=SecretStr(postgres.url("postgres")))
    async with beating(database, elsewhere):
        await wait_until(lambda: caplog.messages.count("no heartbeat") > 1)
    assert any(record.exc_info for record in caplog.records)


async def test_a_process_is_steady_after_a_lease_without_a_gap(
    database: Database, settings: Settings
) -> None:
    """And is not while its beats stop, nor for a lease after that."""
    clock = ManualClock()

    async def beat_for(seconds: float) -> None:
        for _ in range(round(seconds / BEAT_S)):
            clock.advance(BEAT_S)
            now = clock.monotonic()
            await wait_until(lambda: heartbeat._standing.last == now)  # noqa: B023 - awaited here

    async with beating(database, settings.database, clock) as (heartbeat, _):
        await beat_for(LEASE_S - BEAT_S)
        assert not heartbeat.is_steady
        await beat_for(2 * BEAT_S)
        assert heartbeat.is_steady
        clock.advance(3 * BEAT_S)
        assert not heartbeat.is_steady
        await wait_until(lambda: heartbeat._standing.last == clock.monotonic())
        assert not heartbeat.is_steady
        await beat_for(LEASE_S + BEAT_S)
        assert heartbeat.is_steady


async def test_a_beat_that_hangs_is_given_up(
    database: Database, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """A lock on the row of a process is an outage for it, and over with the lock."""
    async with beating(database, settings.database) as (heartbeat, given_up):
        async with database.transaction() as tx:
            assert await tx.processes.beat(heartbeat.id)
            await wait_until(lambda: "no heartbeat: TimeoutError" in caplog.messages)
        last = heartbeat._standing.last
        await wait_until(lambda: heartbeat._standing.last > last)
    assert given_up == []
