"""The rows of `audit_entries`."""

from sqlalchemy import func, insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import AuditEntry
from app.models.audit import Act


class AuditStore:
    """Writes administrative acts within the transaction that does them."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, actor: str, act: Act, subject: str) -> None:
        """Say that `actor`, the id of a key or `cli`, did something to `subject`."""
        values = {"actor": actor, "act": act, "subject": subject, "created_at": func.now()}
        await self._session.execute(insert(AuditEntry).values(values))
