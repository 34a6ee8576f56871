"""Programs whose preparation was never ended, because the process that prepared them died."""

from collections.abc import AsyncGenerator

from app.actions.program_preparation import PREPARATION_TIMEOUT_S
from app.actions.resource_cleanup.category import Category, CategoryName, Found, Tools
from app.stores.removals import Removed

STUCK_AFTER_S = 2 * PREPARATION_TIMEOUT_S

ERROR = "Its preparation was never ended: initialize it again."


async def _look(tools: Tools) -> Found:
    async with tools.database.transaction() as tx:
        return Found(await tx.programs.count_stuck(STUCK_AFTER_S))


async def _mend(tools: Tools) -> AsyncGenerator[Removed]:
    async with tools.database.transaction() as tx:
        stuck = await tx.programs.give_up_stuck(STUCK_AFTER_S, ERROR)
    yield Removed(len(stuck))


STUCK_PROGRAMS = Category(CategoryName.STUCK_PROGRAMS, _look, _mend)
