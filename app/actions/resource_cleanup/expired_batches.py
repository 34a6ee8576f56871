"""Batches that need not be kept any more: their items go first, in slices, and then they."""

from collections.abc import AsyncGenerator, Sequence
from uuid import UUID

from app.actions.resource_cleanup.category import Category, CategoryName, Found, Tools
from app.actions.resource_cleanup.slices import remove_slices
from app.stores.removals import Removed


async def _look(tools: Tools) -> Found:
    return Found(len(await _expired(tools)))


async def _mend(tools: Tools) -> AsyncGenerator[Removed]:
    for batch_id in await _expired(tools):
        async for items in _remove_items(tools, batch_id):
            yield Removed(0, items.bytes_freed)
        if tools.archive is not None:
            await tools.archive.add_batch(batch_id)
        async with tools.database.transaction() as tx:
            batch = await tx.expired_batches.delete(batch_id)
        yield batch


def _remove_items(tools: Tools, batch_id: UUID) -> AsyncGenerator[Removed]:
    return remove_slices(
        tools,
        lambda tx, last: tx.expired_batches.list_items(batch_id, last),
        lambda tx, ids: tx.expired_batches.delete_items(ids),
    )


async def _expired(tools: Tools) -> Sequence[UUID]:
    async with tools.database.transaction() as tx:
        expiry = await tx.retention.find_expiry(tools.settings.retention)
        return [] if expiry is None else await tx.expired_batches.list_ids(expiry)


EXPIRED_BATCHES = Category(CategoryName.EXPIRED_BATCHES, _look, _mend)
