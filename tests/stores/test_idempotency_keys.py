"""The rows of `idempotency_keys`."""

import pytest

from app.database import Database
from app.models.idempotency_keys import Claim
from app.stores.idempotency_keys import KeyChangedError
from tests.stores.rows import IDS

CLAIM = Claim(b"key", b"request")


async def test_a_key_is_claimed_once(database: Database) -> None:
    """What was made or found stands beside it; nothing is claimed without a key."""
    resource_id = IDS.new()
    async with database.transaction() as tx:
        await tx.idempotency_keys.claim(None, resource_id)
        assert await tx.idempotency_keys.find(CLAIM) is None
        await tx.idempotency_keys.claim(CLAIM, resource_id, is_new=False)
    with pytest.raises(KeyChangedError):
        async with database.transaction() as tx:
            await tx.idempotency_keys.claim(CLAIM, IDS.new())
    async with database.transaction() as tx:
        kept = await tx.idempotency_keys.find(CLAIM)
    assert kept is not None
    assert (kept.resource_id, kept.is_new, kept.request) == (resource_id, False, b"request")


async def test_old_keys_are_dropped(database: Database) -> None:
    """After a day, and not before; an old one that is not dropped yet can be claimed."""
    claims = [Claim(bytes([number]), b"request") for number in range(3)]
    async with database.transaction() as tx:
        for claim in claims:
            await tx.idempotency_keys.claim(claim, IDS.new())
    link = await database.open_connection()
    await link.execute(
        "UPDATE idempotency_keys SET created_at = now() - interval '24 h' WHERE key <> $1", b"\0"
    )
    async with database.transaction() as tx:
        await tx.idempotency_keys.claim(claims[1], IDS.new())
        assert await tx.idempotency_keys.count_expired() == 1
        assert (await tx.idempotency_keys.drop_expired()).rows == 1
        assert (await tx.idempotency_keys.drop_expired()).rows == 0
        found = [await tx.idempotency_keys.find(claim) for claim in claims]
    assert [one is None for one in found] == [False, False, True]
