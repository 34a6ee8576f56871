"""Live batches that no lane works on or waits for: they are closed, or their lanes called again."""

from collections.abc import AsyncGenerator, Sequence

from app.actions.resource_cleanup.category import Category, CategoryName, Found, Tools
from app.models.states import BatchStatus
from app.stores.batches import BatchReading
from app.stores.removals import Removed


async def _look(tools: Tools) -> Found:
    return Found(len(await _stalled(tools)))


async def _mend(tools: Tools) -> AsyncGenerator[Removed]:
    for read in await _stalled(tools):
        if _is_over(read):
            yield Removed(int(await tools.close_batch(read.id)))
        else:
            async with tools.database.transaction() as tx:
                is_going = await tx.idle_batches.set_going(read.id)
            yield Removed(int(is_going))


async def _stalled(tools: Tools) -> Sequence[BatchReading]:
    async with tools.database.transaction() as tx:
        idle = [await tx.batches.get(batch_id) for batch_id in await tx.idle_batches.list_ids()]
    return [read for read in idle if _is_over(read) or not _rests(read)]


def _is_over(read: BatchReading) -> bool:
    return read.ended_items == read.batch.total_items


def _rests(read: BatchReading) -> bool:
    """Tell whether somebody has paused it, so that there is nothing to do."""
    return read.batch.status == BatchStatus.PAUSED and read.batch.stopping is None


STALLED_BATCHES = Category(CategoryName.STALLED_BATCHES, _look, _mend)
