"""Deliveries of batches' events that ended as long ago as executions are kept.

Those of live batches stay: by them it is known what has been told.
"""

from collections.abc import AsyncGenerator

from app.actions.resource_cleanup.category import Category, CategoryName, Found, Tools, in_slices
from app.stores.expired_deliveries import SLICE
from app.stores.removals import Removed


async def _look(tools: Tools) -> Found:
    async with tools.database.transaction() as tx:
        return Found(await tx.expired_deliveries.count(tools.settings.retention))


def _mend(tools: Tools) -> AsyncGenerator[Removed]:
    days = tools.settings.retention
    return in_slices(tools, lambda tx: tx.expired_deliveries.delete_slice(days), SLICE)


WEBHOOK_DELIVERIES = Category(CategoryName.WEBHOOK_DELIVERIES, _look, _mend)
