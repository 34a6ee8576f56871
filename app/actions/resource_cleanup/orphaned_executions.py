"""Executions that run for nobody who lives: they end as failed, or wait to be run again.

The sweep of every process does so within seconds for processes that it knows to have ended; here
it is done for those of which there is no row any more, too.
"""

from collections.abc import AsyncGenerator

from app.actions.resource_cleanup.category import Category, CategoryName, Found, Tools
from app.models.ids import first_id
from app.processes.orphans import mend_orphans, tell_of
from app.stores.removals import Removed

_ANY_TIME = first_id(0)


async def _look(tools: Tools) -> Found:
    async with tools.database.transaction() as tx:
        dead, silent = await tx.executions.count_orphans(tools.settings.processes.lease_ms / 1_000)
    return Found(dead + silent, {"process_not_given_up_yet": silent} if silent else {})


async def _mend(tools: Tools) -> AsyncGenerator[Removed]:
    is_full = True
    while is_full:
        async with tools.database.transaction() as tx:
            owners = await tx.executions.list_dead_owners()
            orphans = await mend_orphans(tx, owners, _ANY_TIME)
        tell_of(orphans, tools.channel)
        is_full = orphans.is_full
        yield Removed(orphans.count)


ORPHANED_EXECUTIONS = Category(CategoryName.ORPHANED_EXECUTIONS, _look, _mend)
