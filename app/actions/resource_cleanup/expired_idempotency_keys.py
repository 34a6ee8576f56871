"""Idempotency keys that were kept for as long as is promised; they go in slices."""

from collections.abc import AsyncGenerator

from app.actions.resource_cleanup.category import Category, CategoryName, Found, Tools
from app.stores.idempotency_keys import SLICE
from app.stores.removals import Removed


async def _look(tools: Tools) -> Found:
    async with tools.database.transaction() as tx:
        return Found(await tx.idempotency_keys.count_expired())


async def _mend(tools: Tools) -> AsyncGenerator[Removed]:
    is_full = True
    while is_full:
        async with tools.database.transaction() as tx:
            removed = await tx.idempotency_keys.drop_expired()
        is_full = removed.rows == SLICE
        yield removed


EXPIRED_IDEMPOTENCY_KEYS = Category(CategoryName.EXPIRED_IDEMPOTENCY_KEYS, _look, _mend)
