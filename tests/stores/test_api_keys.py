"""What is kept of keys, and of what administrators did."""

from datetime import timedelta
from typing import Any

from sqlalchemy import select

from app.database import Database
from app.models import ApiKey, AuditEntry
from app.models.audit import CLI, Act
from app.models.scopes import Scope
from app.stores.transaction import Transaction

HASH = bytes(range(32))


async def _add(tx: Transaction, key_id: str = "0000000a", **values: Any) -> ApiKey:
    expires_in = values.pop("expires_in", None)
    row = {"id": key_id, "name": "shop", "scopes": [Scope.READ], "secret_hash": HASH, **values}
    return await tx.api_keys.add(row, expires_in)


async def _used(database: Database, ago: timedelta) -> ApiKey:
    async with database.transaction() as tx:
        await tx.api_keys.mark_used({"0000000a": ago, "0000000b": ago})
    async with database.transaction() as tx:
        (found,) = await tx.api_keys.find_all(["0000000a"])
    return found[0]


async def test_a_key_is_kept_as_it_was_made(database: Database) -> None:
    """Without an end it lives for ever; it was neither used nor revoked yet."""
    async with database.transaction() as tx:
        made = await _add(tx, scopes=[Scope.EXECUTE, Scope.MANAGE])
    async with database.transaction() as tx:
        found = await tx.api_keys.find(made.id)
    assert found is not None
    assert (found.name, found.scopes, found.secret_hash) == ("shop", ["execute", "manage"], HASH)
    assert found.created_at is not None
    assert (found.expires_at, found.last_used_at, found.revoked_at) == (None, None, None)


async def test_the_end_is_reckoned_on_the_databases_clock(database: Database) -> None:
    """So long after its making, whatever this machine thinks the time is."""
    async with database.transaction() as tx:
        made = await _add(tx, expires_in=timedelta(days=9))
    assert made.expires_at == made.created_at + timedelta(days=9)


async def test_keys_are_found_together_with_the_time(database: Database) -> None:
    """Those that there are, in one look-up; the others are not there."""
    async with database.transaction() as tx:
        made = [await _add(tx, key_id) for key_id in ("0000000a", "0000000b")]
        found = await tx.api_keys.find_all(["0000000a", "0000000b", "0000000c"])
        assert await tx.api_keys.find("0000000c") is None
    assert {key.id for key, _ in found} == {key.id for key in made}
    assert {now for _, now in found} == {made[0].created_at}


async def test_keys_are_listed_newest_first(database: Database) -> None:
    """Revoked ones too; two may have one name."""
    for key_id in ("0000000a", "0000000b"):
        async with database.transaction() as tx:
            await _add(tx, key_id)
    async with database.transaction() as tx:
        await tx.api_keys.mark_revoked("0000000a")
        listed = await tx.api_keys.list_all()
    assert [key.id for key in listed] == ["0000000b", "0000000a"]


async def test_a_key_is_revoked_once(database: Database) -> None:
    """The first time is kept; what is not there cannot be revoked."""
    async with database.transaction() as tx:
        await _add(tx)
        assert await tx.api_keys.mark_revoked("0000000a")
    async with database.transaction() as tx:
        first = await tx.api_keys.find("0000000a")
        assert not await tx.api_keys.mark_revoked("0000000a")
        assert not await tx.api_keys.mark_revoked("0000000b")
    async with database.transaction() as tx:
        again = await tx.api_keys.find("0000000a")
    assert first is not None
    assert again is not None
    assert again.revoked_at == first.revoked_at is not None


async def test_the_latest_use_stays(database: Database) -> None:
    """Of several processes that say when a key was used, the one that knows the latest wins."""
    async with database.transaction() as tx:
        made = await _add(tx, "0000000a")
        await _add(tx, "0000000b")
    late = (await _used(database, timedelta(seconds=1))).last_used_at
    assert late is not None
    assert late > made.created_at - timedelta(seconds=1)
    assert (await _used(database, timedelta(seconds=60))).last_used_at == late
    later = (await _used(database, timedelta(0))).last_used_at
    assert later is not None
    assert later > late


async def test_an_act_is_kept_with_who_did_it_to_what(database: Database) -> None:
    """A row for each, in the transaction that does it."""
    async with database.transaction() as tx:
        await tx.audit.add(CLI, Act.KEY_CREATED, "0000000a")
        await tx.audit.add("0000000b", Act.KEY_REVOKED, "0000000a")
    async with database.transaction() as tx:
        rows = (await tx._session.scalars(select(AuditEntry).order_by(AuditEntry.id))).all()
    assert [(row.actor, row.act, row.subject) for row in rows] == [
        ("cli", "key_created", "0000000a"),
        ("0000000b", "key_revoked", "0000000a"),
    ]
    assert all(row.created_at is not None for row in rows)
