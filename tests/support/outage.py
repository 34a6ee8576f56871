"""A database that is away when the test says so."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from typing_extensions import override

from app.database import Database, Transaction
from app.errors import DatabaseUnavailableError
from app.settings import Settings


class LeavingDatabase(Database):
    """The database of the settings, while it is not away."""

    is_away = False

    @override
    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Begin a unit of work, or say that there is no database."""
        if self.is_away:
            raise DatabaseUnavailableError("The database does not answer.")
        async with super().transaction() as tx:
            yield tx


@asynccontextmanager
async def a_leaving_database(settings: Settings) -> AsyncIterator[LeavingDatabase]:
    """Open the test's database once more, so that it can be away."""
    database = LeavingDatabase.connect(settings.database)
    assert isinstance(database, LeavingDatabase)
    yield database
    await database.close()
