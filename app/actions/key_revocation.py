"""Revoke a key."""

from app.database import Database
from app.errors import NotFoundError
from app.models.audit import Act


class KeyRevocation:
    """Revokes keys, everywhere within the seconds that a keyring remembers them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self, key_id: str, actor: str) -> bool:
        """Revoke a key and say so in the audit; tell whether it was live until now.

        Raises NotFoundError.
        """
        async with self._database.transaction() as tx:
            if await tx.api_keys.mark_revoked(key_id):
                await tx.audit.add(actor, Act.KEY_REVOKED, key_id)
                return True
            if await tx.api_keys.find(key_id) is None:
                raise NotFoundError(f"There is no key {key_id}.")
            return False
