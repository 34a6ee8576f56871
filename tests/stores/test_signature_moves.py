"""The moves of signatures and their end."""

import asyncio

import pytest

from app.database import Database
from app.errors import SignatureInUseError, SignatureNotFoundError
from app.models.states import SIGNATURE_MOVES, ProgramStatus, SignatureStatus
from tests.stores.rows import IDS, a_program, a_signature


@pytest.mark.parametrize("origin", SignatureStatus)
@pytest.mark.parametrize("target", SignatureStatus)
async def test_a_signature_moves_as_the_table_says(
    database: Database, origin: SignatureStatus, target: SignatureStatus
) -> None:
    """Any other move tells that it was not made, and changes nothing."""
    async with database.transaction() as tx:
        signature = await a_signature(tx)
        signature.status = origin
    async with database.transaction() as tx:
        moved = await tx.signatures.mark(signature.id, target)
    async with database.transaction() as tx:
        after = await tx.signatures.get(signature.id)
    is_allowed = target in SIGNATURE_MOVES[origin]
    assert (moved is not None) == is_allowed
    assert after.status == (target if is_allowed else origin)
    assert (after.updated_at > after.created_at) == is_allowed


async def test_an_unused_signature_goes(database: Database) -> None:
    """Once; its name and content are free."""
    async with database.transaction() as tx:
        signature = await a_signature(tx, name="one", content_hash="same")
    async with database.transaction() as tx:
        await tx.signatures.delete(signature.id)
    async with database.transaction() as tx:
        with pytest.raises(SignatureNotFoundError):
            await tx.signatures.delete(signature.id)
        assert (await a_signature(tx, name="one", content_hash="same")).version == 1


async def test_a_signature_with_an_archived_program_stays(database: Database) -> None:
    """The history of the program needs it."""
    async with database.transaction() as tx:
        program = await a_program(tx)
        await tx.programs.mark(program.id, ProgramStatus.ARCHIVED)
    with pytest.raises(SignatureInUseError, match="version 1"):
        async with database.transaction() as tx:
            await tx.signatures.delete(program.signature_id)
    async with database.transaction() as tx:
        assert (await tx.signatures.get(program.signature_id)).version == 1


async def test_a_signature_that_is_held_waits_to_go(database: Database) -> None:
    """Whoever adds a program to it comes first, and the deletion is refused."""
    async with database.transaction() as tx:
        signature = await a_signature(tx)

    async def delete() -> None:
        async with database.transaction() as tx:
            await tx.signatures.delete(signature.id)

    async with database.transaction() as tx:
        await tx.signatures.hold(signature.id)
        deletion = asyncio.create_task(delete())
        async with asyncio.timeout(10):
            while not await _is_waiting(database):
                pass  # each look is a round trip
        await a_program(tx, signature_id=signature.id)
    with pytest.raises(SignatureInUseError):
        await deletion


async def _is_waiting(database: Database) -> bool:
    async with database.transaction() as tx:
        waiting = await tx.signatures._session.connection()
        found = await waiting.exec_driver_sql("SELECT 1 FROM pg_locks WHERE NOT granted")
        return found.first() is not None


async def test_nothing_is_held_where_nothing_is(database: Database) -> None:
    """A signature that went meanwhile is not found."""
    async with database.transaction() as tx:
        with pytest.raises(SignatureNotFoundError):
            await tx.signatures.hold(IDS.new())
