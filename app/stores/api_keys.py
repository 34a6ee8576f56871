"""The rows of `api_keys`."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Interval, Text, any_, bindparam, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import ApiKey

_USED_AT = func.now() - bindparam("ago", type_=Interval())


class ApiKeyStore:
    """Reads and writes what is kept of keys within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, values: Mapping[str, Any], expires_in: timedelta | None) -> ApiKey:
        """Add a key, which expires so long from now on the database's clock, or never."""
        expires_at = None if expires_in is None else func.now() + expires_in
        statement = (
            insert(ApiKey)
            .values(**values, created_at=func.now(), expires_at=expires_at)
            .returning(ApiKey)
        )
        return (await self._session.scalars(statement)).one()

    async def find(self, key_id: str) -> ApiKey | None:
        """Find a key."""
        return await self._session.get(ApiKey, key_id)

    async def find_all(self, key_ids: Collection[str]) -> Sequence[tuple[ApiKey, datetime]]:
        """Find the keys that there are of these, each with what time it is for the database."""
        wanted = any_(literal(list(key_ids), ARRAY(Text())))
        query = select(ApiKey, func.now()).where(ApiKey.id == wanted)
        return [(key, now) for key, now in await self._session.execute(query)]

    async def list_all(self) -> Sequence[ApiKey]:
        """List every key, the newest first."""
        query = select(ApiKey).order_by(ApiKey.created_at.desc(), ApiKey.id)
        return (await self._session.scalars(query)).all()

    async def mark_revoked(self, key_id: str) -> bool:
        """Revoke a key; tell whether there was one to revoke."""
        statement = (
            update(ApiKey)
            .where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None))
            .values(revoked_at=func.now())
            .returning(ApiKey.id)
        )
        return (await self._session.scalars(statement)).one_or_none() is not None

    async def mark_used(self, ages: Mapping[str, timedelta]) -> None:
        """Say how long ago keys were used, by id; a later use that is known stays."""
        # In one order, or two processes could wait for each other.
        rows = [{"key_id": key_id, "ago": ages[key_id]} for key_id in sorted(ages)]
        statement = (
            update(ApiKey)
            .where(ApiKey.id == bindparam("key_id"))
            .values(last_used_at=func.greatest(ApiKey.last_used_at, _USED_AT))
        )
        connection = await self._session.connection()
        await connection.execute(statement, rows)
