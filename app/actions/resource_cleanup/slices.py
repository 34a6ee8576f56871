"""Executions removed slice by slice, in order of id, each archived before it goes."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from uuid import UUID

from app.actions.resource_cleanup.category import Tools
from app.stores.removals import Removed
from app.stores.transaction import Transaction

ListIds = Callable[[Transaction, UUID | None], Awaitable[Sequence[UUID]]]
"""List the first of those after an id."""

Delete = Callable[[Transaction, Sequence[UUID]], Awaitable[Removed]]


async def remove_slices(tools: Tools, list_ids: ListIds, delete: Delete) -> AsyncGenerator[Removed]:
    """Remove them to the last; nothing is held between what is read, written and deleted."""
    last: UUID | None = None
    while True:
        async with tools.database.transaction() as tx:
            ids = await list_ids(tx, last)
        if not ids:
            return
        if tools.archive is not None:
            await tools.archive.add_executions(ids)
        async with tools.database.transaction() as tx:
            removed = await delete(tx, ids)
        yield removed
        last = ids[-1]
