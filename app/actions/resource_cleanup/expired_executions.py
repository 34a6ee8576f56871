"""Executions that need not be kept any more, but for weeks that go whole; items go with batches."""

from collections.abc import AsyncGenerator

from app.actions.resource_cleanup.category import Category, CategoryName, Found, Tools
from app.actions.resource_cleanup.slices import remove_slices
from app.actions.resource_cleanup.weeks import Weeks, find_weeks
from app.models.weeks import Week
from app.stores.removals import Removed
from app.stores.retention import Expiry


async def _look(tools: Tools) -> Found:
    weeks, total = await _weeks(tools), 0
    if weeks.expiry is not None:
        for week in weeks.mixed:
            async with tools.database.transaction() as tx:
                total += await tx.expired_executions.count(weeks.expiry, week)
    return Found(total)


async def _mend(tools: Tools) -> AsyncGenerator[Removed]:
    weeks = await _weeks(tools)
    if weeks.expiry is None:
        return
    for week in weeks.mixed:
        async for removed in _remove(tools, weeks.expiry, week):
            yield removed


def _remove(tools: Tools, expiry: Expiry, week: Week) -> AsyncGenerator[Removed]:
    return remove_slices(
        tools,
        lambda tx, last: tx.expired_executions.list_ids(expiry, week, last),
        lambda tx, ids: tx.expired_executions.delete(expiry, ids),
    )


async def _weeks(tools: Tools) -> Weeks:
    async with tools.database.transaction() as tx:
        return await find_weeks(tx, tools.settings.retention)


EXPIRED_EXECUTIONS = Category(CategoryName.EXPIRED_EXECUTIONS, _look, _mend)
