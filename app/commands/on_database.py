"""Work that a command does on the database itself, without a server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeVar

from app.commands.console import plain_errors
from app.commands.local_stack import local_database
from app.database import Database
from app.settings import Settings, load_settings

T = TypeVar("T")


def on_database(
    work: Callable[[Database, Settings], Awaitable[T]],
    config: Path | None,
    data_dir: Path | None,
    *,
    needs_head: bool = True,
) -> T:
    """Do the work on the operator's database, or on the local one where there is a folder.

    Work that does not need a schema at head may find the database away as well.
    """

    async def run() -> T:
        async with _database(config, data_dir) as (database, settings):
            if needs_head:
                await database.require_head()
            return await work(database, settings)

    with plain_errors():
        return asyncio.run(run())


@asynccontextmanager
async def _database(
    config: Path | None, data_dir: Path | None
) -> AsyncIterator[tuple[Database, Settings]]:
    settings = load_settings(config)
    async with AsyncExitStack() as stack:
        if data_dir is not None:
            settings = await stack.enter_async_context(local_database(settings, data_dir))
        database = Database.connect(settings.database)
        stack.push_async_callback(database.close)
        yield database, settings
