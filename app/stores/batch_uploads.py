"""The rows of `batch_uploads`: batches whose items come in before they are there themselves."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete, exists, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import BatchUpload, Process

_UPLOADS = BatchUpload.__table__.c
_IS_ABANDONED = ~exists().where(Process.id == _UPLOADS.owner_id, Process.ended_at.is_(None))


class BatchUploadStore:
    """Reads and writes uploads within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, batch_id: UUID, owner_id: UUID) -> None:
        """Say that items are coming in, of a batch that is not there yet."""
        values = {"id": batch_id, "owner_id": owner_id, "created_at": func.now()}
        await self._session.execute(insert(BatchUpload).values(values))

    async def hold(self, batch_id: UUID, owner_id: UUID) -> bool:
        """Let nobody take an upload until this transaction ends; False where somebody has."""
        query = select(_UPLOADS.id).where(_UPLOADS.id == batch_id, _UPLOADS.owner_id == owner_id)
        return (await self._session.scalars(query.with_for_update())).one_or_none() is not None

    async def end(self, batch_id: UUID) -> None:
        """Forget an upload, whose batch is there now or whose items are gone."""
        await self._session.execute(delete(BatchUpload).where(_UPLOADS.id == batch_id))

    async def take_abandoned(self, owner_id: UUID) -> Sequence[UUID]:
        """Make uploads this owner's whose owner does not live; name their batches.

        Whoever wakes up meanwhile and goes on with one finds that it is not his any more.
        """
        statement = update(BatchUpload).where(_IS_ABANDONED).values(owner_id=owner_id)
        return (await self._session.scalars(statement.returning(BatchUpload.id))).all()

    async def count_abandoned(self) -> int:
        """Count the uploads whose owner does not live."""
        query = select(func.count()).select_from(BatchUpload).where(_IS_ABANDONED)
        return (await self._session.scalars(query)).one()

    async def list_all(self) -> Sequence[BatchUpload]:
        """List what is coming in, the oldest first."""
        return (await self._session.scalars(select(BatchUpload).order_by(_UPLOADS.id))).all()
