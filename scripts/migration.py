"""Make a migration out of the difference between the models and a scratch database at head."""

import asyncio
import sys
import tempfile
from pathlib import Path

from alembic import command
from pydantic import SecretStr
from sqlalchemy import Connection

from app.database import Database, alembic_config
from app.local.postgres import LocalPostgres
from app.settings import DatabaseSettings

VERSIONS = Path(__file__).parent.parent / "migrations" / "versions"


async def make(message: str) -> None:
    """Generate the file; it is to be read and refined before it is committed."""
    with tempfile.TemporaryDirectory() as folder:
        async with LocalPostgres(Path(folder)) as postgres:
            await postgres.ensure_database("scratch")
            settings = DatabaseSettings(url=SecretStr(postgres.url("scratch")))
            await Database.migrate(settings)
            database = Database.connect(settings)
            await database.run_sync(lambda connection: _revision(connection, message))
            await database.close()


def _revision(connection: Connection, message: str) -> None:
    number = len(list(VERSIONS.glob("*.py"))) + 1
    config = alembic_config(connection)
    command.revision(config, message, autogenerate=True, rev_id=f"{number:04}")


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1]:  # noqa: PLR2004 - the script and the message
        sys.exit('say what it does: make migration m="add a table"')
    asyncio.run(make(sys.argv[1]))
