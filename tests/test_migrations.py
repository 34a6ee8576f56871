"""The migrations build exactly what the models say, and can be undone."""

import re
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine
from importlib.resources import files
from io import StringIO
from pathlib import Path

import asyncpg
import pytest
from alembic import command
from pydantic import SecretStr
from sqlalchemy import Connection, inspect

from app.database import Database, SchemaError, alembic_config
from app.local.postgres import LocalPostgres
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
    with pytest.raises(SchemaError, match=r"is at nothing, this program needs \d{4}.*migrate"):
        await scratch.require_head()


async def test_the_engine_s_schema_is_the_one_that_its_version_asks_for() -> None:
    """An engine with another schema needs a migration of ours, which brings the difference."""
    folder = Path(alembic_config().get_main_option("script_location") or "")
    ours = (folder / "procrastinate_3_10.sql").read_text(encoding="utf-8")
    theirs = files("procrastinate.sql").joinpath("schema.sql").read_text(encoding="utf-8")
    assert ours.endswith(theirs)


def _statements() -> str:
    """Write what brings a database from nothing to head."""
    written = StringIO()
    config = alembic_config()
    config.output_buffer = written
    command.upgrade(config, "head", sql=True)
    return written.getvalue()


def test_migrations_only_add() -> None:
    """The program that runs meanwhile, which knows nothing of what is new, finds all it needs."""
    changes = re.findall(r"^(?:ALTER TABLE|DROP)\b[^;]*", _statements(), re.MULTILINE)
    assert changes
    for change in changes:
        assert re.match(r"ALTER TABLE \w+ ADD COLUMN ", change), change
        assert "NOT NULL" not in change or "DEFAULT" in change, change


async def test_the_statements_can_be_written_for_elsewhere(postgres: LocalPostgres) -> None:
    """`alembic upgrade --sql` gives what a database needs that is not reached from here."""
    await postgres.ensure_database("offline")
    connection = await asyncpg.connect(postgres.url("offline"))
    await connection.execute(_statements())
    await connection.close()
    database = Database.connect(DatabaseSettings(url=SecretStr(postgres.url("offline"))))
    await database.require_head()
    await database.run_sync(lambda connection: command.check(alembic_config(connection)))
    await database.close()


async def test_every_table_and_status_is_described_for_operators(scratch: Database) -> None:
    """Tables that people query carry a comment, and so do their states."""

    def comments(connection: Connection) -> dict[str, str | None]:
        found = inspect(connection)
        return {name: found.get_table_comment(name)["text"] for name in TABLES}

    assert all((await scratch.run_sync(comments)).values())
