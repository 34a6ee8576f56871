"""Batches that need not be kept any more: their items go first, in slices, and then they."""

from collections.abc import AsyncGenerator, Sequence
from functools import partial
from uuid import UUID

from app.actions.resource_cleanup.category import Category, CategoryName, Found, Tools, in_slices
from app.stores.expired_batches import SLICE
from app.stores.removals import Removed
from app.stores.transaction import Transaction


async def _look(tools: Tools) -> Found:
    return Found(len(await _expired(tools)))


async def _mend(tools: Tools) -> AsyncGenerator[Removed]:
    for batch_id in await _expired(tools):
        items = partial(_delete_items, batch_id)
        async for removed in in_slices(tools, items, SLICE):
            yield Removed(0, removed.bytes_freed)
        async with tools.database.transaction() as tx:
            batch = await tx.expired_batches.delete(batch_id)
        yield batch


async def _delete_items(batch_id: UUID, tx: Transaction) -> Removed:
    return await tx.expired_batches.delete_items(batch_id)


async def _expired(tools: Tools) -> Sequence[UUID]:
    async with tools.database.transaction() as tx:
        expiry = await tx.retention.find_expiry(tools.settings.retention)
        return [] if expiry is None else await tx.expired_batches.list_ids(expiry)


EXPIRED_BATCHES = Category(CategoryName.EXPIRED_BATCHES, _look, _mend)
