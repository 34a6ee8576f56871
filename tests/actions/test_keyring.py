"""Whose keys callers have, how long that is remembered, and what it costs."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
import pytest
from pydantic import SecretStr
from typing_extensions import override

from app.actions.key_revocation import KeyRevocation
from app.actions.keyring import MOST_REFUSED, REMEMBERED_S, Caller, Keyring
from app.database import Database
from app.errors import DatabaseUnavailableError
from app.models import ApiKey
from app.models.audit import CLI
from app.models.key_text import KeyText
from app.models.scopes import Scope
from app.settings import DatabaseSettings, Settings
from app.stores.availability import RETRY_AFTER_S
from app.stores.transaction import Transaction
from tests.support.clock import ManualClock
from tests.support.factories import a_key

ALMOST_S = REMEMBERED_S - 0.001
PATIENCE_S = 20.0


class _WatchedDatabase(Database):
    """Counts its transactions; `meanwhile` is called within each."""

    transactions = 0
    meanwhile: Callable[[], None] = staticmethod(lambda: None)

    @asynccontextmanager
    @override
    async def transaction(self) -> AsyncIterator[Transaction]:
        self.transactions += 1
        async with super().transaction() as tx:
            self.meanwhile()
            yield tx


@pytest.fixture
async def watched(settings: Settings, database: Database) -> AsyncIterator[_WatchedDatabase]:  # noqa: ARG001 - emptied after us
    """The test's database, which counts what a keyring asks of it."""
    opened = _WatchedDatabase.connect(settings.database)
    assert isinstance(opened, _WatchedDatabase)
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> ManualClock:
    """Time that only the test moves."""
    return ManualClock()


@pytest.fixture
def keyring(watched: _WatchedDatabase, clock: ManualClock) -> Keyring:
    """A keyring that remembers nothing yet."""
    return Keyring(watched, clock, PATIENCE_S)


@pytest.fixture
async def away() -> AsyncIterator[Database]:
    """A database that does not answer."""
    url = SecretStr("postgresql://nobody@127.0.0.1:9/nothing")
    database = Database.connect(DatabaseSettings(url=url))
    yield database
    await database.close()


async def _row(database: Database, key: KeyText) -> ApiKey:
    async with database.transaction() as tx:
        row = await tx.api_keys.find(key.key_id)
    assert row is not None
    return row


async def _revoke(database: Database, key: KeyText) -> None:
    await KeyRevocation(database)(key.key_id, CLI)


def _with_another_secret(key: KeyText) -> KeyText:
    """Make a well-formed key with the id of another."""
    letters = iter(key.key_id)
    return KeyText.new(lambda known: next(letters, "") or secrets.choice(known))


async def test_a_key_tells_who_calls(database: Database, keyring: Keyring) -> None:
    """Its id and its scopes."""
    key = await a_key(database, Scope.EXECUTE, Scope.READ)
    caller = Caller(key.key_id, frozenset({Scope.READ, Scope.EXECUTE}))
    assert await keyring.find(key.text) == caller


async def test_a_key_is_looked_up_once_in_five_seconds(
    database: Database, watched: _WatchedDatabase, keyring: Keyring, clock: ManualClock
) -> None:
    """What was found is remembered that long, and then asked for again."""
    key = await a_key(database)
    for advance_s, looked_up in ((0, 1), (ALMOST_S, 1), (0.001, 2), (ALMOST_S, 2)):
        clock.advance(advance_s)
        assert await keyring.find(key.text) is not None
        assert watched.transactions == looked_up


async def test_a_revoked_key_is_dead_after_five_seconds(
    database: Database, keyring: Keyring, clock: ManualClock
) -> None:
    """In a process that used it a moment before, too; where it was not known, at once."""
    key = await a_key(database)
    assert await keyring.find(key.text) is not None
    await _revoke(database, key)
    assert await Keyring(database, clock, PATIENCE_S).find(key.text) is None
    clock.advance(REMEMBERED_S)
    assert await keyring.find(key.text) is None


async def test_two_live_keys_of_one_name_follow_each_other(
    database: Database, keyring: Keyring, clock: ManualClock
) -> None:
    """Rotation: both are taken until the old one is revoked."""
    old, new = await a_key(database, name="shop"), await a_key(database, name="shop")
    assert await keyring.find(old.text)
    assert await keyring.find(new.text)
    await _revoke(database, old)
    clock.advance(REMEMBERED_S)
    assert await keyring.find(old.text) is None
    assert await keyring.find(new.text)


async def test_a_key_is_not_remembered_past_its_end(
    database: Database, watched: _WatchedDatabase, keyring: Keyring, clock: ManualClock
) -> None:
    """One that lives two seconds more is asked for again after two, not after five."""
    key = await a_key(database, expires_in=timedelta(seconds=2))
    assert await keyring.find(key.text) is not None
    clock.advance(2)
    await keyring.find(key.text)
    assert watched.transactions == 2


@pytest.mark.parametrize("kind", ["unknown", "wrong secret", "expired", "revoked"])
async def test_every_key_that_is_nobodys_costs_the_same(
    kind: str,
    database: Database,
    watched: _WatchedDatabase,
    keyring: Keyring,
    clock: ManualClock,
) -> None:
    """One look-up, none for five seconds, and then one again: nobody can tell them apart."""
    live = await a_key(database)
    dead = await a_key(database)
    await _revoke(database, dead)
    key = {
        "unknown": KeyText.new(secrets.choice),
        "wrong secret": _with_another_secret(live),
        "expired": await a_key(database, expires_in=timedelta(seconds=-1)),
        "revoked": dead,
    }[kind]
    await keyring.find(live.text)
    watched.transactions = 0
    for advance_s, looked_up in ((0, 1), (0, 1), (ALMOST_S, 1), (0.001, 2), (0, 2)):
        clock.advance(advance_s)
        assert await keyring.find(key.text) is None
        assert watched.transactions == looked_up


@pytest.mark.parametrize("text", ["", "dsp_", "dsp_0000000a_x", "é" * 9, "x" * 60_000])
async def test_a_mistyped_key_asks_the_database_nothing(
    text: str, watched: _WatchedDatabase, keyring: Keyring
) -> None:
    """Its checksum is wrong, or it has none."""
    assert await keyring.find(text) is None
    assert watched.transactions == 0


async def test_a_wrong_secret_does_not_shut_out_the_right_one(
    database: Database, keyring: Keyring
) -> None:
    """Whoever knows the id of a key cannot harm its holder."""
    key = await a_key(database)
    assert await keyring.find(_with_another_secret(key).text) is None
    assert await keyring.find(key.text) is not None
    assert await keyring.find(_with_another_secret(key).text) is None
    assert await keyring.find(key.text) is not None


async def test_a_flood_of_unknown_keys_is_held_in_bounds(
    database: Database, watched: _WatchedDatabase, keyring: Keyring
) -> None:
    """Memory has an end, the database is asked for all together, and holders are not shut out."""
    key = await a_key(database)
    assert await keyring.find(key.text) is not None
    flood = [KeyText.new(secrets.choice).text for _ in range(MOST_REFUSED + 100)]
    found = await asyncio.gather(*map(keyring.find, flood))
    assert not any(found)
    assert len(keyring._refused) == MOST_REFUSED
    assert await keyring.find(key.text) is not None
    assert watched.transactions <= 3


async def test_the_oldest_refusal_is_forgotten_first(
    watched: _WatchedDatabase, keyring: Keyring
) -> None:
    """One that came again keeps the place of its last time."""
    texts = [KeyText.new(secrets.choice).text for _ in range(MOST_REFUSED + 1)]
    await asyncio.gather(*map(keyring.find, texts))
    watched.transactions = 0
    assert await keyring.find(texts[-1]) is None
    assert watched.transactions == 0
    assert await keyring.find(texts[0]) is None
    assert watched.transactions == 1


async def test_many_callers_share_a_look_up(
    database: Database, watched: _WatchedDatabase, keyring: Keyring
) -> None:
    """When what is remembered of a key ends, all its requests ask together."""
    key = await a_key(database)
    assert all(await asyncio.gather(*(keyring.find(key.text) for _ in range(100))))
    assert watched.transactions <= 2


async def test_a_caller_who_leaves_takes_nobody_along(database: Database, keyring: Keyring) -> None:
    """The look-up that several wait for goes on without the one who began it."""
    key = await a_key(database)
    leaving, staying = (asyncio.create_task(keyring.find(key.text)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying is not None
    assert leaving.cancelled()


async def test_a_slow_look_up_is_an_answer_all_the_same(
    database: Database, watched: _WatchedDatabase, keyring: Keyring, clock: ManualClock
) -> None:
    """A database that takes longer than what it says is remembered refuses no valid key."""
    key = await a_key(database)
    watched.meanwhile = lambda: clock.advance(REMEMBERED_S)
    for looked_up in (1, 2):
        assert await keyring.find(key.text) is not None
        assert watched.transactions == looked_up


async def test_without_the_database_nobody_is_refused_for_good(
    away: Database, clock: ManualClock
) -> None:
    """It is an error of ours, and not remembered as a key that is nobody's."""
    keyring = Keyring(away, clock, PATIENCE_S)
    text = KeyText.new(secrets.choice).text
    for _ in range(2):
        with pytest.raises(DatabaseUnavailableError):
            await keyring.find(text)


async def test_a_look_up_that_hangs_is_not_waited_for_without_end(
    database: Database, watched: _WatchedDatabase, clock: ManualClock
) -> None:
    """Who waits for the next is told to come again, and is let in afterwards."""
    key = await a_key(database)
    keyring = Keyring(watched, clock, 0.05)
    async with keyring._turn:
        with pytest.raises(DatabaseUnavailableError) as refused:
            await keyring.find(key.text)
    assert refused.value.retry_after_s == RETRY_AFTER_S
    assert await keyring.find(key.text) is not None


async def test_a_database_that_hangs_does_not_hold_the_end(
    database: Database, database_url: str, clock: ManualClock
) -> None:
    """The last uses are lost then."""
    key = await a_key(database)
    keyring = Keyring(database, clock, 0.2)
    await keyring.find(key.text)
    locking = await asyncpg.connect(database_url)
    async with locking.transaction():
        await locking.execute("LOCK TABLE api_keys")
        await asyncio.wait_for(keyring.close(), PATIENCE_S)
    await locking.close()
    assert (await _row(database, key)).last_used_at is None


async def test_uses_are_written_together_and_not_with_each_request(
    database: Database, watched: _WatchedDatabase, keyring: Keyring, clock: ManualClock
) -> None:
    """The last use of each key, reckoned back on the database's clock."""
    key, idle = await a_key(database), await a_key(database)
    await keyring.find(key.text)
    clock.advance(1)
    await keyring.find(key.text)
    assert (await _row(database, key)).last_used_at is None
    clock.advance(3_600)
    watched.transactions = 0
    await keyring.write_uses()
    row = await _row(database, key)
    assert row.last_used_at is not None
    ago = row.created_at - row.last_used_at
    assert timedelta(minutes=59) < ago <= timedelta(hours=1)
    assert (await _row(database, idle)).last_used_at is None
    await keyring.write_uses()
    assert watched.transactions == 1


async def test_a_use_that_comes_while_uses_are_written_is_written_next(
    database: Database, watched: _WatchedDatabase, keyring: Keyring, clock: ManualClock
) -> None:
    """Nothing is forgotten between the reading of the uses and their commit."""
    key = await a_key(database)
    await keyring.find(key.text)

    def use_again() -> None:
        clock.advance(1)
        keyring._used_s[key.key_id] = clock.monotonic()

    watched.meanwhile = use_again
    await keyring.write_uses()
    watched.meanwhile = lambda: None
    first = (await _row(database, key)).last_used_at
    await keyring.close()
    last = (await _row(database, key)).last_used_at
    assert first is not None
    assert last is not None
    assert last > first
    watched.transactions = 0
    await keyring.close()
    assert watched.transactions == 0


async def test_uses_wait_for_a_database_that_is_away(away: Database, clock: ManualClock) -> None:
    """They are kept for the next time; at the end of the process they are let go quietly."""
    keyring = Keyring(away, clock, PATIENCE_S)
    keyring._used_s["0000000a"] = 0.0
    with pytest.raises(DatabaseUnavailableError):
        await keyring.write_uses()
    assert keyring._used_s == {"0000000a": 0.0}
    await keyring.close()


async def test_no_key_stays_in_memory(database: Database, keyring: Keyring) -> None:
    """A picture of the process's memory holds hashes alone."""
    good, bad = await a_key(database), KeyText.new(secrets.choice)
    for key in (good, bad):
        await keyring.find(key.text)
        assert key.secret not in repr(vars(keyring))
