"""Create a key."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from app.database import Database
from app.models import ApiKey
from app.models.audit import Act
from app.models.key_text import Choose, KeyText
from app.models.scopes import Scope


@dataclass(frozen=True)
class KeyCreationInput:
    """Whose key it is, what it allows, how long it lives (None: for ever), and who makes it."""

    name: str
    scopes: Collection[Scope]
    expires_in: timedelta | None
    actor: str


@dataclass(frozen=True)
class KeyCreationReport:
    """What is kept of the key, and the key itself, which nobody can read again."""

    key: ApiKey
    text: KeyText


class KeyCreation:
    """Makes keys; the names are free, so that two live keys of one name can follow each other."""

    def __init__(self, database: Database, choose: Choose) -> None:
        self._database = database
        self._choose = choose

    async def __call__(self, wanted: KeyCreationInput) -> KeyCreationReport:
        """Make a key and say so in the audit."""
        text = KeyText.new(self._choose)
        values = {
            "id": text.key_id,
            "name": wanted.name,
            "scopes": [scope for scope in Scope if scope in wanted.scopes],
            "secret_hash": text.secret_hash,
        }
        async with self._database.transaction() as tx:
            key = await tx.api_keys.add(values, wanted.expires_in)
            await tx.audit.add(wanted.actor, Act.KEY_CREATED, key.id)
        return KeyCreationReport(key, text)
