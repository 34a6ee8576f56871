"""Jobs of the engine that have ended and are still there, as those that were aborted by hand."""

from collections.abc import AsyncGenerator

from app.actions.resource_cleanup.category import Category, CategoryName, Found, Tools
from app.stores.removals import Removed


async def _look(tools: Tools) -> Found:
    async with tools.database.transaction() as tx:
        return Found(await tx.jobs.count_finished())


async def _mend(tools: Tools) -> AsyncGenerator[Removed]:
    is_over = False
    while not is_over:
        async with tools.database.transaction() as tx:
            removed = await tx.jobs.drop_finished()
        is_over = not removed.rows
        yield removed


FINISHED_JOBS = Category(CategoryName.FINISHED_JOBS, _look, _mend)
