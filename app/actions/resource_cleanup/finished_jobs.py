"""Jobs of the engine that have ended and are still there, as those that were aborted by hand."""

from collections.abc import AsyncGenerator

from app.actions.resource_cleanup.category import Category, CategoryName, Found, Tools, in_slices
from app.stores.jobs import SLICE
from app.stores.removals import Removed


async def _look(tools: Tools) -> Found:
    async with tools.database.transaction() as tx:
        return Found(await tx.jobs.count_finished())


def _mend(tools: Tools) -> AsyncGenerator[Removed]:
    return in_slices(tools, lambda tx: tx.jobs.drop_finished(), SLICE)


FINISHED_JOBS = Category(CategoryName.FINISHED_JOBS, _look, _mend)
