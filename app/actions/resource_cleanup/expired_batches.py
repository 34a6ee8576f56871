"""Batches that need not be kept any more: their items go first, in slices, and then they."""

from collections.abc import AsyncGenerator, Sequence
from uuid import UUID

from app.actions.resource_cleanup.category import Category, CategoryName, Found, Tools
from app.stores.expired_batches import SLICE
from app.stores.removals import Removed


async def _look(tools: Tools) -> Found:
    return Found(len(await _expired(tools)))


async def _mend(tools: Tools) -> AsyncGenerator[Removed]:
    for batch_id in await _expired(tools):
        is_full = True
        while is_full:
            async with tools.database.transaction() as tx:
                items = await tx.expired_batches.delete_items(batch_id)
            is_full = items.rows == SLICE
            yield Removed(0, items.bytes_freed)
        async with tools.database.transaction() as tx:
            removed = await tx.expired_batches.delete(batch_id)
        yield removed


async def _expired(tools: Tools) -> Sequence[UUID]:
    async with tools.database.transaction() as tx:
        expiry = await tx.retention.find_expiry(tools.settings.retention)
        return [] if expiry is None else await tx.expired_batches.list_ids(expiry)


EXPIRED_BATCHES = Category(CategoryName.EXPIRED_BATCHES, _look, _mend)
