"""How keys are made and revoked, and that it is written down."""

import secrets
from datetime import timedelta

import pytest
from sqlalchemy import select

from app.actions.key_creation import KeyCreation, KeyCreationInput
from app.actions.key_revocation import KeyRevocation
from app.database import Database
from app.errors import NotFoundError
from app.models import AuditEntry
from app.models.audit import CLI
from app.models.key_text import KeyText
from app.models.scopes import Scope

WANTED = KeyCreationInput("shop", [Scope.ADMIN, Scope.READ, Scope.ADMIN], timedelta(days=1), "bob")


async def _acts(database: Database) -> list[tuple[str, str, str]]:
    async with database.transaction() as tx:
        rows = (await tx._session.scalars(select(AuditEntry).order_by(AuditEntry.id))).all()
    return [(row.actor, row.act, row.subject) for row in rows]


async def test_a_key_is_made_and_only_its_hash_is_kept(database: Database) -> None:
    """The report has the key; the row has its hash, its scopes once, and its end."""
    report = await KeyCreation(database, secrets.choice)(WANTED)
    row, text = report.key, report.text
    assert KeyText.parse(text.text) == text
    assert (row.id, row.secret_hash) == (text.key_id, text.secret_hash)
    assert (row.name, row.scopes) == ("shop", ["read", "admin"])
    assert row.expires_at == row.created_at + timedelta(days=1)
    assert text.secret not in repr(report) + str(vars(row))
    assert await _acts(database) == [("bob", "key_created", row.id)]


async def test_a_key_is_revoked_once(database: Database) -> None:
    """The second time changes nothing and is no act."""
    key_id = (await KeyCreation(database, secrets.choice)(WANTED)).key.id
    revoke = KeyRevocation(database)
    assert [await revoke(key_id, CLI) for _ in range(2)] == [True, False]
    assert (await _acts(database))[1:] == [("cli", "key_revoked", key_id)]


async def test_a_key_that_is_not_there_cannot_be_revoked(database: Database) -> None:
    """The error names it, and no act is written."""
    with pytest.raises(NotFoundError, match="no key 0000000a"):
        await KeyRevocation(database)("0000000a", CLI)
    assert await _acts(database) == []
