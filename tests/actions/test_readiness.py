"""Whether the database can be used: told quickly, whatever it does."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from app.actions.readiness import Patience, Readiness
from app.database import Database
from app.local.postgres import LocalPostgres
from app.settings import DatabaseSettings, Settings
from tests.support.clock import ManualClock
from tests.support.wait import wait_until_so

GOOD = {"database": "ok", "schema": "ok"}


@pytest.fixture
async def narrow(settings: Settings) -> AsyncIterator[Database]:
    """The test's database by one connection, for which one waits long."""
    database = Database.connect(settings.database.model_copy(update={"pool_size": 1}))
    yield database
    await database.close()


async def until_good(ready: Readiness) -> None:
    """Ask until all is well: what comes of little patience depends on the machine."""

    async def is_good() -> bool:
        return await ready() == GOOD

    await wait_until_so(is_good)


async def test_a_database_at_head_is_good(database: Database) -> None:
    """It answers, and its schema is ours."""
    assert await Readiness(database, ManualClock())() == GOOD


async def test_a_database_that_is_away_is_said_to_be_so() -> None:
    """In the words that clients read."""
    away = Database.connect(
        DatabaseSettings(url=SecretStr("postgresql://nobody@127.0.0.1:1/nothing"))
    )
    assert await Readiness(away, ManualClock())() == {"database": "The database does not answer."}
    await away.close()


async def test_a_schema_that_is_not_ours_is_said_to_be_so(postgres: LocalPostgres) -> None:
    """With what to do about it."""
    bare = Database.connect(DatabaseSettings(url=SecretStr(postgres.url("postgres"))))
    found = await Readiness(bare, ManualClock())()
    assert found["database"] == "ok"
    assert "run `dspatch migrate`" in found["schema"]
    await bare.close()


async def test_a_database_that_hangs_is_not_waited_for(narrow: Database) -> None:
    """All who ask meanwhile share one look; when it comes back, the next answer is good."""
    ready = Readiness(narrow, ManualClock(), Patience(answer_s=0.05))
    async with narrow.transaction() as tx:
        await tx.signatures._session.execute(text("SELECT 1"))
        found = await asyncio.gather(*(ready() for _ in range(50)))
        looking = [
            task for task in asyncio.all_tasks() if task.get_name() == "look at the database"
        ]
    assert found == [{"database": "no answer yet"}] * 50
    assert len(looking) == 1
    await until_good(ready)


async def test_what_was_found_last_is_good_for_a_while(narrow: Database) -> None:
    """A look may be slow on a busy machine; of one that hangs is told within five seconds."""
    clock = ManualClock()
    ready = Readiness(narrow, clock, Patience(answer_s=0.05))
    await until_good(ready)
    async with narrow.transaction() as tx:
        await tx.signatures._session.execute(text("SELECT 1"))
        clock.advance(Patience().last_s)
        assert await ready() == GOOD
        clock.advance(0.1)
        assert await ready() == {"database": "no answer yet"}


async def test_a_look_that_ends_between_two_questions_counts(narrow: Database) -> None:
    """A busy machine may end every look just after somebody has ceased to wait for it."""
    ready = Readiness(narrow, ManualClock(), Patience(answer_s=0.05))
    async with narrow.transaction() as tx:
        await tx.signatures._session.execute(text("SELECT 1"))
        assert await ready() == {"database": "no answer yet"}
        looking = ready._looking
    assert looking is not None
    await looking
    async with narrow.transaction() as tx:
        await tx.signatures._session.execute(text("SELECT 1"))
        assert await ready() == GOOD


async def test_a_look_that_takes_too_long_is_given_up(narrow: Database) -> None:
    """So that a connection on which nothing comes back does not stand for the database for ever."""
    ready = Readiness(narrow, ManualClock(), Patience(answer_s=5, look_s=0.05))
    async with narrow.transaction() as tx:
        await tx.signatures._session.execute(text("SELECT 1"))
        assert await ready() == {"database": "no answer yet"}
    assert await ready() == GOOD
