"""Ready programs that their adapter in this process does not hold; their first call prepares them.

There is nothing to mend: a process holds what it runs. It is said, so that people can see it.
"""

from collections.abc import AsyncGenerator

from app.actions.resource_cleanup.category import Category, CategoryName, Found, Tools
from app.stores.removals import Removed


async def _look(tools: Tools) -> Found:
    async with tools.database.transaction() as tx:
        ready = await tx.programs.list_ready()
    held = {
        (adapter.name, info.program_id)
        for adapter in tools.adapters
        for info in await adapter.list_programs()
    }
    names = {adapter.name for adapter in tools.adapters}
    unprepared = sum(name in names and (name, one) not in held for name, one in ready)
    return Found(unprepared, {"prepared_on_demand": unprepared} if unprepared else {})


async def _mend(_tools: Tools) -> AsyncGenerator[Removed]:
    yield Removed(0)


UNPREPARED_PROGRAMS = Category(CategoryName.UNPREPARED_PROGRAMS, _look, _mend)
