"""Move a signature along its life: draft, active, deprecated."""

from uuid import UUID

from app.database import Database
from app.errors import InvalidTransitionError
from app.models import Signature
from app.models.states import SignatureStatus


class SignatureTransition:
    """Moves signatures."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self, signature_id: UUID, target: SignatureStatus) -> Signature:
        """Move to `target`; raises SignatureNotFoundError, InvalidTransitionError."""
        async with self._database.transaction() as tx:
            moved = await tx.signatures.mark(signature_id, target)
            if moved is None:
                signature = await tx.signatures.get(signature_id)
                raise InvalidTransitionError(
                    f"The signature is {signature.status} and cannot become {target}."
                )
            return moved
