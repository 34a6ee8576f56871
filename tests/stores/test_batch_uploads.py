"""Uploads belong to whoever takes them in, until he is dead and somebody else takes them."""

from app.database import Database
from tests.stores.rows import IDS, a_process


async def test_an_upload_is_known_until_it_ends(database: Database) -> None:
    """By the id that its batch will have; its owner alone holds it."""
    batch_id, owner_id = IDS.new(), IDS.new()
    async with database.transaction() as tx:
        await tx.batch_uploads.add(batch_id, owner_id)
        found = await tx.batch_uploads.list_all()
        assert [(one.id, one.owner_id) for one in found] == [(batch_id, owner_id)]
        assert await tx.batch_uploads.hold(batch_id, owner_id)
        assert not await tx.batch_uploads.hold(batch_id, IDS.new())
        await tx.batch_uploads.end(batch_id)
        assert not await tx.batch_uploads.hold(batch_id, owner_id)
        assert await tx.batch_uploads.list_all() == []


async def test_what_dead_owners_took_in_is_taken_once(database: Database) -> None:
    """Of one that has ended and of one that nobody knows; not of one that lives."""
    async with database.transaction() as tx:
        lives, ended = await a_process(tx), await a_process(tx, ended_s=1)
        uploads = {owner_id: IDS.new() for owner_id in (lives, ended, IDS.new())}
        for owner_id, batch_id in uploads.items():
            await tx.batch_uploads.add(batch_id, owner_id)
        taken = await tx.batch_uploads.take_abandoned(lives)
        assert {*taken} == {*uploads.values()} - {uploads[lives]}
        assert await tx.batch_uploads.take_abandoned(lives) == []
        assert not await tx.batch_uploads.hold(uploads[ended], ended)
        assert await tx.batch_uploads.hold(uploads[ended], lives)
