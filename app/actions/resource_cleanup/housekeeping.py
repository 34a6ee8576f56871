"""What the planner knows of the tables, and what an operator should know of them.

PostgreSQL looks after single tables by itself, and after `executions` as a whole never: its plans
over all weeks go by what was found here. Dead rows and idle indexes are reported, not touched.
"""

from collections.abc import AsyncGenerator

from app.actions.resource_cleanup.category import Category, CategoryName, Found, Tools
from app.stores.removals import Removed


async def _look(tools: Tools) -> Found:
    async with tools.database.transaction() as tx:
        stale = await tx.housekeeping.list_stale()
        bloated = await tx.housekeeping.list_bloated()
        idle = await tx.housekeeping.list_idle_indexes()
    kept = {
        **{f"needs_vacuum: {name}": 1 for name in bloated},
        **{f"index_not_used: {name}": 1 for name in idle},
    }
    return Found(len(stale) + len(kept), kept)


async def _mend(tools: Tools) -> AsyncGenerator[Removed]:
    async with tools.database.transaction() as tx:
        stale = await tx.housekeeping.list_stale()
    for name in stale:
        async with tools.database.transaction() as tx:
            await tx.housekeeping.analyze(name)
        yield Removed(1)


HOUSEKEEPING = Category(CategoryName.HOUSEKEEPING, _look, _mend)
