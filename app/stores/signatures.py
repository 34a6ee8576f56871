"""The rows of `signatures`."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import SignatureInUseError, SignatureNotFoundError
from app.models import Signature
from app.models.states import SignatureStatus, signature_origins
from app.stores.pages import Page, Paged, on_page, paged


class SignatureStore:
    """Reads and writes signatures within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def get(self, signature_id: UUID) -> Signature:
        """Find a signature; SignatureNotFoundError where there is none."""
        return _found(signature_id, await self._session.get(Signature, signature_id))

    async def hold(self, signature_id: UUID) -> Signature:
        """Find a signature, which nobody changes or deletes until this transaction ends."""
        found = await self._session.get(Signature, signature_id, with_for_update={"read": True})
        return _found(signature_id, found)

    async def count(self) -> int:
        """Count all versions of all names."""
        query = select(func.count()).select_from(Signature)
        return (await self._session.scalars(query)).one()

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

    async def mark(self, signature_id: UUID, target: SignatureStatus) -> Signature | None:
        """Move a signature to `target` where its status allows it; None where it does not."""
        statement = (
            update(Signature)
            .where(Signature.id == signature_id, Signature.status.in_(signature_origins(target)))
            .values(status=target, updated_at=func.now())
            .returning(Signature)
            .execution_options(populate_existing=True)
        )
        return (await self._session.scalars(statement)).one_or_none()

    async def delete(self, signature_id: UUID) -> None:
        """Delete a signature; SignatureInUseError where a program, even an archived one, has it."""
        signature = await self.get(signature_id)
        try:
            await self._session.execute(delete(Signature).where(Signature.id == signature_id))
        except IntegrityError:  # the foreign key of `programs`, the only one that leads here
            message = f"Programs stand on {signature.name} version {signature.version}."
            raise SignatureInUseError(message) from None

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


def _found(signature_id: UUID, signature: Signature | None) -> Signature:
    if signature is None:
        raise SignatureNotFoundError(f"There is no signature {signature_id}.")
    return signature
