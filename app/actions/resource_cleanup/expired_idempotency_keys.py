"""Idempotency keys that were kept for as long as is promised; they go in slices."""

from collections.abc import AsyncGenerator

from app.actions.resource_cleanup.category import Category, CategoryName, Found, Tools, in_slices
from app.stores.idempotency_keys import SLICE
from app.stores.removals import Removed


async def _look(tools: Tools) -> Found:
    async with tools.database.transaction() as tx:
        return Found(await tx.idempotency_keys.count_expired())


def _mend(tools: Tools) -> AsyncGenerator[Removed]:
    return in_slices(tools, lambda tx: tx.idempotency_keys.drop_expired(), SLICE)


EXPIRED_IDEMPOTENCY_KEYS = Category(CategoryName.EXPIRED_IDEMPOTENCY_KEYS, _look, _mend)
