"""What ended executions were asked and what was said: it may go before the record does.

A week in which nothing of it is left is marked, so that nobody looks into it again.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress

from app.actions.resource_cleanup.category import Category, CategoryName, Found, Tools
from app.actions.resource_cleanup.slices import remove_slices
from app.actions.resource_cleanup.weeks import find_weeks
from app.models.weeks import Week
from app.stores.expired_weeks import LockedError
from app.stores.removals import Removed


async def _look(tools: Tools) -> Found:
    days, total = tools.settings.retention.payload_days, 0
    for week in await _weeks(tools):
        async with tools.database.transaction() as tx:
            total += await tx.expired_payloads.count(days, week)
    return Found(total)


async def _mend(tools: Tools) -> AsyncGenerator[Removed]:
    for week in await _weeks(tools):
        async for removed in _remove(tools, week):
            yield removed
        await _mark(tools, week)


def _remove(tools: Tools, week: Week) -> AsyncGenerator[Removed]:
    days = tools.settings.retention.payload_days
    return remove_slices(
        tools,
        lambda tx, last: tx.expired_payloads.list_ids(days, week, last),
        lambda tx, ids: tx.expired_payloads.remove(days, ids),
    )


async def _mark(tools: Tools, week: Week) -> None:
    """Mark a week that is bare, unless somebody is in the way: the next run does it then."""
    days = tools.settings.retention.payload_days
    with suppress(LockedError):
        async with tools.database.transaction() as tx:
            if await tx.expired_payloads.is_bare(days, week):
                await tx.expired_weeks.mark_bare(week)


async def _weeks(tools: Tools) -> Sequence[Week]:
    """List the weeks to look into: not those that go whole."""
    retention = tools.settings.retention
    if not retention.payload_days:
        return []
    async with tools.database.transaction() as tx:
        going = {one.name for one in (await find_weeks(tx, retention)).going}
        weeks = await tx.expired_payloads.list_weeks(retention.payload_days)
    return [week for week in weeks if week.partition not in going]


EXPIRED_PAYLOADS = Category(CategoryName.EXPIRED_PAYLOADS, _look, _mend)
