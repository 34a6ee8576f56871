"""Rows of processes that have ended; people may see them for a day."""

from collections.abc import AsyncGenerator

from app.actions.resource_cleanup.category import Category, CategoryName, Found, Tools
from app.processes.sweep import KEPT_S
from app.stores.removals import Removed


async def _look(tools: Tools) -> Found:
    async with tools.database.transaction() as tx:
        ended = await tx.processes.count_ended()
        recent = ended - await tx.processes.count_ended(KEPT_S)
    return Found(ended, {"ended_within_a_day": recent} if recent else {})


async def _mend(tools: Tools) -> AsyncGenerator[Removed]:
    async with tools.database.transaction() as tx:
        removed = await tx.processes.delete_ended(KEPT_S)
    yield removed


DEAD_PROCESSES = Category(CategoryName.DEAD_PROCESSES, _look, _mend)
