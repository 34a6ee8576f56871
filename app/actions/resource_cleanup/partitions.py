"""The partitions of `executions`: made ahead, and dropped once all of their records have expired.

Nobody is kept from reading or writing for longer than a tenth of a second. Whoever dies over it
leaves a marked table, which the next run drops.
"""

from collections.abc import AsyncGenerator
from contextlib import suppress

from app.actions.resource_cleanup.category import Category, CategoryName, Found, Tools
from app.actions.resource_cleanup.weeks import Weeks, find_weeks
from app.stores.expired_weeks import LockedError, Partition
from app.stores.partitions import WEEKS_AHEAD
from app.stores.removals import Removed
from app.stores.transaction import Transaction

TRIES = 10
AGAIN_AFTER_S = 0.2


async def _look(tools: Tools) -> Found:
    async with tools.database.transaction() as tx:
        missing = await tx.partitions.list_missing(WEEKS_AHEAD)
        weeks = await find_weeks(tx, tools.settings.retention)
    needed = len(weeks.needed)
    kept = {"has_records_to_keep": needed} if needed else {}
    return Found(len(missing) + len(weeks.going) + needed, kept)


async def _mend(tools: Tools) -> AsyncGenerator[Removed]:
    async with tools.database.transaction() as tx:
        made = await tx.partitions.ensure(WEEKS_AHEAD)
        weeks = await find_weeks(tx, tools.settings.retention)
    yield Removed(len(made))
    await _spare(tools, weeks)
    for partition in weeks.going:
        yield await _take_out(tools, partition.name)


async def _spare(tools: Tools, weeks: Weeks) -> None:
    """Forget that partitions were to be dropped which are not any more."""
    for partition in weeks.spared:
        async with tools.database.autocommit() as tx:
            with suppress(LockedError):
                await tx.expired_weeks.unmark(partition)


async def _take_out(tools: Tools, name: str) -> Removed:
    """Take out and drop a partition, once nobody is in the way; nothing where others do it.

    It is archived while it is whole: whoever drops what is left of a run does not ask for that.
    """
    to_archive = tools.archive
    for _ in range(TRIES):
        with suppress(LockedError):
            async with tools.database.autocommit() as tx, tx.expired_weeks.alone() as is_alone:
                partition = await _find(tx, name) if is_alone else None
                if partition is None:
                    return Removed(0)
                if to_archive is not None:
                    await to_archive.add_week(name)
                    to_archive = None
                return await _step(tx, partition)
        await tools.clock.sleep(AGAIN_AFTER_S)
    return Removed(0)


async def _find(tx: Transaction, name: str) -> Partition | None:
    """Find a partition, or what was one; None where it is gone."""
    return {one.name: one for one in await tx.expired_weeks.list_partitions()}.get(name)


async def _step(tx: Transaction, partition: Partition) -> Removed:
    """Go on from wherever a partition has come; one that we did not mark is only taken out."""
    if partition.is_whole:
        await tx.expired_weeks.detach(partition)
    elif partition.is_pending:
        await tx.expired_weeks.finish_detaching(partition)
        if not partition.is_marked:
            return Removed(1)
    return Removed(1, await tx.expired_weeks.drop(partition))


PARTITIONS = Category(CategoryName.PARTITIONS, _look, _mend)
