"""The results of a batch, page by page, in order of their index."""

from dataclasses import replace
from uuid import UUID

from app.database import Database
from app.models import Execution
from app.stores.batch_items import ItemFilter
from app.stores.pages import Page, Paged


class BatchResulting:
    """Lists the items of a batch that have ended."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self, batch_id: UUID, page: Page, wanted: ItemFilter) -> Paged[Execution]:
        """Give a page; BatchNotFoundError where there is no such batch."""
        async with self._database.transaction() as tx:
            batch = (await tx.batches.get(batch_id)).batch
            if batch.retry_of is None:  # its indexes are its places
                wanted = replace(wanted, from_place=wanted.from_index)
            return await tx.batch_items.list_ended(batch_id, page, wanted)
