"""The rows of `idempotency_keys`."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import IdempotencyKey
from app.models.idempotency_keys import Claim
from app.stores.removals import Removed, bytes_of, is_among, removed

KEPT_FOR = timedelta(hours=24)
SLICE = 10_000
"""As many rows go in one statement."""

_TABLE = IdempotencyKey.__table__.c
_IS_KEPT = IdempotencyKey.created_at > func.now() - KEPT_FOR


class KeyChangedError(Exception):
    """Another request has taken the key meanwhile, or given it back: look again."""


class IdempotencyKeyStore:
    """Reads and claims keys within one transaction.

    The keys of executions are claimed by the recorder, in the statement that begins their records.
    """

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find(self, claim: Claim) -> IdempotencyKey | None:
        """Find what was accepted under a key."""
        query = select(IdempotencyKey).where(IdempotencyKey.key == claim.key, _IS_KEPT)
        return (await self._session.scalars(query)).one_or_none()

    async def claim(self, claim: Claim | None, resource_id: UUID, *, is_new: bool = True) -> None:
        """Take a key, if there is one, for what this transaction makes or finds.

        Waits for a transaction that is taking it; KeyChangedError where it is taken.
        """
        if claim is None:
            return
        values = {"request": claim.request, "resource_id": resource_id, "is_new": is_new}
        fresh = {**values, "created_at": func.now()}
        statement = (
            insert(IdempotencyKey)
            .values(key=claim.key, **fresh)
            .on_conflict_do_update(index_elements=["key"], set_=fresh, where=~_IS_KEPT)
            .returning(IdempotencyKey.key)
        )
        if (await self._session.scalars(statement)).one_or_none() is None:
            raise KeyChangedError

    async def release(self, key: bytes, resource_id: UUID) -> None:
        """Give a key back, unless somebody else holds it by now."""
        await self._session.execute(
            delete(IdempotencyKey).where(
                IdempotencyKey.key == key, IdempotencyKey.resource_id == resource_id
            )
        )

    async def count_expired(self) -> int:
        """Count the keys that are older than KEPT_FOR."""
        return (await self._session.scalars(select(func.count()).where(~_IS_KEPT))).one()

    async def drop_expired(self) -> Removed:
        """Forget a slice of the keys that are older than KEPT_FOR."""
        old = select(IdempotencyKey.key).where(~_IS_KEPT).limit(SLICE)
        is_old = is_among(_TABLE.key, old.with_for_update(skip_locked=True))
        statement = delete(IdempotencyKey).where(is_old).returning(bytes_of(IdempotencyKey))
        return removed(await self._session.scalars(statement))
