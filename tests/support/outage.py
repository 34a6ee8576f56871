"""A database that is away when the test says so."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cached_property

from typing_extensions import override

from app.database import Database
from app.errors import DatabaseUnavailableError
from app.settings import Settings
from app.stores.transaction import Transaction

Opening = Callable[[], AbstractAsyncContextManager[Transaction]]


class LeavingDatabase(Database):
    """The database of the settings, while it is not away.

    What is in `after_next` is done once after the next use of it, before anybody goes on.
    """

    is_away = False

    @cached_property
    def after_next(self) -> list[Callable[[], Awaitable[object]]]:
        """What is still to be done."""
        return []

    @override
    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Begin a unit of work, or say that there is no database."""
        async with self._unless_away(super().transaction) as tx:
            yield tx

    @override
    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[Transaction]:
        """Give the stores as they are without a transaction, or say that there is no database."""
        async with self._unless_away(super().autocommit) as tx:
            yield tx

    @asynccontextmanager
    async def _unless_away(self, opening: Opening) -> AsyncIterator[Transaction]:
        if self.is_away:
            raise DatabaseUnavailableError("The database does not answer.")
        async with opening() as tx:
            yield tx
        while self.after_next:
            await self.after_next.pop()()


@asynccontextmanager
async def a_leaving_database(settings: Settings) -> AsyncIterator[LeavingDatabase]:
    """Open the test's database once more, so that it can be away."""
    database = LeavingDatabase.connect(settings.database)
    assert isinstance(database, LeavingDatabase)
    yield database
    await database.close()
