"""Deliveries of batches' events that ended as long ago as executions are kept.

Those of live batches stay: by them it is known what has been told.
"""

from collections.abc import AsyncGenerator

from app.actions.resource_cleanup.category import Category, CategoryName, Found, Tools
from app.stores.expired_deliveries import SLICE
from app.stores.removals import Removed


async def _look(tools: Tools) -> Found:
    async with tools.database.transaction() as tx:
        return Found(await tx.expired_deliveries.count(tools.settings.retention))


async def _mend(tools: Tools) -> AsyncGenerator[Removed]:
    is_full = True
    while is_full:
        async with tools.database.transaction() as tx:
            removed = await tx.expired_deliveries.delete_slice(tools.settings.retention)
        is_full = removed.rows == SLICE
        yield removed


WEBHOOK_DELIVERIES = Category(CategoryName.WEBHOOK_DELIVERIES, _look, _mend)
