"""Uploads whose process has died before their batch was there: what came in of them goes."""

from collections.abc import AsyncGenerator

from app.actions.resource_cleanup.category import Category, CategoryName, Found, Tools
from app.processes.uploads import AbandonedUploads
from app.stores.removals import Removed


async def _look(tools: Tools) -> Found:
    async with tools.database.transaction() as tx:
        return Found(await tx.batch_uploads.count_abandoned())


async def _mend(tools: Tools) -> AsyncGenerator[Removed]:
    """Take them for nobody: whoever dies over it leaves them abandoned."""
    nobody_id = tools.ids.new()
    yield Removed(await AbandonedUploads(tools.database, lambda: nobody_id)())


ABANDONED_UPLOADS = Category(CategoryName.ABANDONED_UPLOADS, _look, _mend)
