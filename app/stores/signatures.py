"""The rows of `signatures`."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import SignatureNotFoundError
from app.models import Signature
from app.models.states import SignatureStatus
from app.stores.pages import Page, Paged, on_page, paged


class SignatureStore:
    """Reads and writes signatures within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def get(self, signature_id: UUID) -> Signature:
        """Find a signature; SignatureNotFoundError where there is none."""
        found = await self._session.get(Signature, signature_id)
        if found is None:
            raise SignatureNotFoundError(f"There is no signature {signature_id}.")
        return found

    async def find_content(self, name: str, content_hash: str) -> Signature | None:
        """Find the version of `name` that has this content."""
        query = select(Signature).where(
            Signature.name == name, Signature.content_hash == content_hash
        )
        return (await self._session.scalars(query)).one_or_none()

    async def lock_name(self, name: str) -> None:
        """Hold back others who count versions of `name` until this transaction ends."""
        key = func.hashtextextended(f"signatures/{name}", 0)
        await self._session.execute(select(func.pg_advisory_xact_lock(key)))

    async def next_version(self, name: str) -> int:
        """Count the versions of `name`; the name must be locked."""
        query = select(func.coalesce(func.max(Signature.version), 0) + 1).where(
            Signature.name == name
        )
        return (await self._session.scalars(query)).one()

    async def add(self, values: Mapping[str, Any]) -> Signature:
        """Add a draft."""
        statement = (
            insert(Signature)
            .values(
                **values,
                status=SignatureStatus.DRAFT,
                created_at=func.now(),
                updated_at=func.now(),
            )
            .returning(Signature)
        )
        return (await self._session.scalars(statement)).one()

    async def list_page(
        self, page: Page, *, name: str | None = None, status: SignatureStatus | None = None
    ) -> Paged[Signature]:
        """List signatures, newest first."""
        query = select(Signature)
        if name is not None:
            query = query.where(Signature.name == name)
        if status is not None:
            query = query.where(Signature.status == status)
        rows = (await self._session.scalars(on_page(query, Signature.__table__.c.id, page))).all()
        return paged(rows, page)
