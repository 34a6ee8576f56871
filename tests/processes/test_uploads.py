"""What came in of batches that do not come about is removed, by whoever lives."""

import asyncio
from uuid import UUID

import pytest

from app.database import Database
from app.errors import DatabaseUnavailableError
from app.models.ids import item_id
from app.processes.uploads import AbandonedUploads
from app.settings import Settings
from app.stores.batch_items import ItemRow
from app.stores.executions import ExecutionFilter
from app.stores.pages import Page
from tests.stores.rows import IDS, a_batch, a_process, of_items
from tests.support.outage import a_leaving_database

ROW = ItemRow(0, None, "{}", None)


async def an_upload(database: Database, owner_id: UUID) -> UUID:
    """Have two items come in."""
    batch_id = IDS.new()
    async with database.transaction() as tx:
        await tx.batch_uploads.add(batch_id, owner_id)
        await tx.batch_items.add(of_items(batch_id), 0, [ROW, ROW])
    return batch_id


async def left(database: Database) -> tuple[set[UUID], set[UUID]]:
    """Give the uploads, and the batches of which there are items."""
    async with database.transaction() as tx:
        uploads = {one.id for one in await tx.batch_uploads.list_all()}
        items = (await tx.executions.list_page(Page(), ExecutionFilter())).items
        return uploads, {item_id(one.id, 0) for one in items}


async def test_what_dead_processes_took_in_is_removed(database: Database) -> None:
    """All of it, once they are known to be dead; nothing of those that live."""
    async with database.transaction() as tx:
        own, other, dead = [await a_process(tx) for _ in range(3)]
    kept = {await an_upload(database, owner_id) for owner_id in (own, other)}
    await an_upload(database, dead)
    await an_upload(database, IDS.new())
    async with database.transaction() as tx:
        assert await tx.processes.end(dead)
    abandoned = AbandonedUploads(database, lambda: own)
    for _ in range(2):
        await abandoned()
        assert await left(database) == (kept, {item_id(one, 0) for one in kept})


async def test_what_cannot_be_removed_is_removed_later(
    database: Database, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever failed to take it in lives on, and tries again when the database is back."""
    async with database.transaction() as tx:
        own = await a_process(tx)
    batch_id = await an_upload(database, own)
    async with a_leaving_database(settings) as leaving:
        abandoned = AbandonedUploads(leaving, lambda: own)
        leaving.is_away = True
        await abandoned.add(batch_id, own)
        with pytest.raises(DatabaseUnavailableError):
            await abandoned()
        leaving.is_away = False
        assert await left(database) == ({batch_id}, {item_id(batch_id, 0)})
        await abandoned()
    assert "is removed later" in caplog.text
    assert await left(database) == (set(), set())


async def test_two_that_remove_the_same_do_not_disturb_each_other(database: Database) -> None:
    """A request that has failed, and the sweep of its process: one of them has removed it."""
    async with database.transaction() as tx:
        own = await a_process(tx)
    batch_id = await an_upload(database, own)
    abandoned = AbandonedUploads(database, lambda: own)
    await asyncio.gather(abandoned.add(batch_id, own), abandoned())
    assert await left(database) == (set(), set())
    assert await abandoned() == 0


async def test_a_batch_that_has_come_about_keeps_its_items(database: Database) -> None:
    """Where it was not known whether its last transaction was committed, and it was."""
    async with database.transaction() as tx:
        own, batch_id = await a_process(tx), await a_batch(tx, 2)
    abandoned = AbandonedUploads(database, lambda: own)
    await abandoned.add(batch_id, own)
    assert await left(database) == (set(), {item_id(batch_id, 0)})
