"""What dead processes have left running on this machine: children, and what those started."""

import asyncio
from collections.abc import AsyncGenerator

from app.actions.resource_cleanup.category import Category, CategoryName, Found, Tools
from app.adapters.parentage import count_orphans, kill_orphans
from app.stores.removals import Removed


async def _look(_tools: Tools) -> Found:
    return Found(await asyncio.to_thread(count_orphans))


async def _mend(_tools: Tools) -> AsyncGenerator[Removed]:
    yield Removed(await asyncio.to_thread(kill_orphans))


ORPHANED_CHILDREN = Category(CategoryName.ORPHANED_CHILDREN, _look, _mend)
