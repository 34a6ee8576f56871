"""The results of a batch in order of their index: page by page, or all in slices."""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import replace
from uuid import UUID

from app.database import Database
from app.errors import BatchNotFoundError
from app.models import Batch
from app.models.ids import place_of
from app.stores.batch_items import ItemFilter, ItemResult
from app.stores.pages import Page, Paged

SLICE = 500
"""As many items of a stream are held in memory, and share the 3 ms that their statement costs."""

REACH = 10_000
"""As many places are looked at by one statement, however few of their items are wanted."""


class BatchResulting:
    """Lists the items of a batch that have ended."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(
        self, batch_id: UUID, page: Page, wanted: ItemFilter, parts: Collection[str] = ()
    ) -> Paged[ItemResult]:
        """Give a page with these of RESULT_PARTS; BatchNotFoundError where there is no batch."""
        async with self._database.transaction() as tx:
            batch = (await tx.batches.get(batch_id)).batch
            return await tx.batch_items.list_results(batch_id, page, _placed(batch, wanted), parts)


class BatchResultStreaming:
    """Gives all items of a batch that have ended."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(
        self, batch_id: UUID, wanted: ItemFilter, parts: Collection[str] = ()
    ) -> AsyncIterator[Sequence[ItemResult]]:
        """Give them slice by slice, each out of a transaction that has ended.

        They have these of RESULT_PARTS. BatchNotFoundError where there is no such batch, or, after
        the last, where it was removed meanwhile.
        """
        async with self._database.transaction() as tx:
            batch = (await tx.batches.get(batch_id)).batch
        return self._slices(batch, _placed(batch, wanted), parts)

    async def _slices(
        self, batch: Batch, wanted: ItemFilter, parts: Collection[str]
    ) -> AsyncIterator[Sequence[ItemResult]]:
        place = wanted.from_place
        while place < batch.total_items:
            near = replace(wanted, from_place=place, to_place=place + REACH - 1)
            async with self._database.transaction() as tx:
                found = await tx.batch_items.list_results(batch.id, Page(SLICE), near, parts)
            if found.items:
                yield found.items
            place = place_of(found.items[-1].id) + 1 if found.next_cursor else near.to_place + 1
        if batch.total_items:
            await self._require_whole(batch.id)

    async def _require_whole(self, batch_id: UUID) -> None:
        """Raise BatchNotFoundError where items may have been removed since."""
        async with self._database.transaction() as tx:
            if not await tx.batch_items.has_first(batch_id):
                raise BatchNotFoundError(f"Batch {batch_id} has been removed.")


def _placed(batch: Batch, wanted: ItemFilter) -> ItemFilter:
    """Say from which place on the wanted items stand."""
    if batch.retry_of is not None:  # its indexes are not its places
        return wanted
    return replace(wanted, from_place=wanted.from_index)
