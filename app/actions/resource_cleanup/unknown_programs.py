"""Programs that an adapter of this process holds, and that are no program any more."""

from collections.abc import AsyncGenerator, Sequence
from uuid import UUID

from app.actions.resource_cleanup.category import Category, CategoryName, Found, Tools
from app.adapters.base import Adapter
from app.stores.removals import Removed


async def _look(tools: Tools) -> Found:
    return Found(len(await _unknown(tools)))


async def _mend(tools: Tools) -> AsyncGenerator[Removed]:
    for adapter, program_id in await _unknown(tools):
        yield Removed(int(await adapter.delete_program(program_id)))


async def _unknown(tools: Tools) -> Sequence[tuple[Adapter, UUID]]:
    """List them; a program is known before an adapter holds it, so that these are asked first."""
    held = [
        (adapter, info.program_id)
        for adapter in tools.adapters
        for info in await adapter.list_programs()
    ]
    async with tools.database.transaction() as tx:
        known = await tx.programs.list_known({program_id for _, program_id in held})
    return [(adapter, program_id) for adapter, program_id in held if program_id not in known]


UNKNOWN_PROGRAMS = Category(CategoryName.UNKNOWN_PROGRAMS, _look, _mend)
