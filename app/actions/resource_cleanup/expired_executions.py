"""Executions that need not be kept any more, but for weeks that go whole; items go with batches."""

from collections.abc import AsyncGenerator

from app.actions.resource_cleanup.category import Category, CategoryName, Found, Tools
from app.actions.resource_cleanup.weeks import Weeks, find_weeks
from app.stores.removals import Removed


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
        after, is_over = None, False
        while not is_over:
            async with tools.database.transaction() as tx:
                done = await tx.expired_executions.delete_slice(weeks.expiry, week, after)
            after, is_over = done.last, done.last is None
            yield done.removed


async def _weeks(tools: Tools) -> Weeks:
    async with tools.database.transaction() as tx:
        return await find_weeks(tx, tools.settings.retention)


EXPIRED_EXECUTIONS = Category(CategoryName.EXPIRED_EXECUTIONS, _look, _mend)
