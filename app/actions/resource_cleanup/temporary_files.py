"""Folders that dead processes have left among the temporary files of this machine.

They are all that has a name: uploads wait in files without one, and children make none of ours.
"""

import asyncio
from collections.abc import AsyncGenerator

from app.actions.resource_cleanup.category import Category, CategoryName, Found, Tools
from app.local.temporary_folders import count_abandoned, remove_abandoned
from app.stores.removals import Removed


async def _look(_tools: Tools) -> Found:
    return Found(await asyncio.to_thread(count_abandoned))


async def _mend(_tools: Tools) -> AsyncGenerator[Removed]:
    yield Removed(await asyncio.to_thread(remove_abandoned))


TEMPORARY_FILES = Category(CategoryName.TEMPORARY_FILES, _look, _mend)
