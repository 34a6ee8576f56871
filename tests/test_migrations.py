"""The migrations build exactly what the models say, and can be undone."""

import zlib
from collections.abc import AsyncIterator, Callable, Coroutine

import pytest
from alembic import command
from pydantic import SecretStr
from sqlalchemy import Connection, inspect

from app.database import Database, SchemaError, alembic_config
from app.models import Base
from app.settings import DatabaseSettings

TABLES = set(Base.metadata.tables)


@pytest.fixture
async def scratch(
    new_database: Callable[[str], Coroutine[None, None, str]],
    request: pytest.FixtureRequest,
) -> AsyncIterator[Database]:
    """A database of the test's own, at head."""
    url = await new_database(f"scratch_{zlib.crc32(request.node.name.encode())}")
    database = Database.connect(DatabaseSettings(url=SecretStr(url)))
    yield database
    await database.close()


def _tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


async def test_the_models_and_the_migrations_agree(scratch: Database) -> None:
    """`alembic check` finds nothing to migrate, partitions or not."""
    await scratch.run_sync(lambda connection: command.check(alembic_config(connection)))


async def test_down_to_nothing_and_up_again(scratch: Database) -> None:
    """Every migration can be undone, and done again."""
    assert await scratch.run_sync(_tables) >= TABLES
    await scratch.run_sync(lambda connection: command.downgrade(alembic_config(connection), "base"))
    assert await scratch.run_sync(_tables) == {"alembic_version"}
    await scratch.run_sync(lambda connection: command.upgrade(alembic_config(connection), "head"))
    assert await scratch.run_sync(_tables) >= TABLES


async def test_an_older_schema_is_refused(scratch: Database) -> None:
    """A schema that is not at head is named, with what to do."""
    await scratch.require_head()
    await scratch.run_sync(lambda connection: command.downgrade(alembic_config(connection), "base"))
    with pytest.raises(SchemaError, match=r"is at nothing, this program needs [0-9]{4}.*migrate"):
        await scratch.require_head()


async def test_every_table_and_status_is_described_for_operators(scratch: Database) -> None:
    """Tables that people query carry a comment, and so do their states."""

    def comments(connection: Connection) -> dict[str, str | None]:
        found = inspect(connection)
        return {name: found.get_table_comment(name)["text"] for name in TABLES}

    assert all((await scratch.run_sync(comments)).values())
