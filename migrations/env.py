"""How Alembic reaches the database: by the connection it is handed, else by the settings."""

import asyncio

from alembic import context
from sqlalchemy import Connection

from app.database import Database
from app.models import Base
from app.models.weeks import is_partition
from app.settings import load_settings


def include_name(name: str | None, kind: str, _parents: object) -> bool:
    """Leave out of what is compared the partitions, and the job engine's own tables."""
    is_others = name is not None and (is_partition(name) or name.startswith("procrastinate_"))
    return not (kind == "table" and is_others)


def run(connection: Connection) -> None:
    """Run the migrations on one connection, in one transaction."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_name=include_name,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def run_by_settings() -> None:
    """Open the database that DSPATCH_DATABASE__URL names."""
    database = Database.connect(load_settings().database)
    try:
        await database.run_sync(run)
    finally:
        await database.close()


def write() -> None:
    """Write the statements, for a database that is not reached from here."""
    context.configure(dialect_name="postgresql", literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


handed = context.config.attributes.get("connection")
if context.is_offline_mode():
    write()
elif handed is not None:
    run(handed)
else:
    asyncio.run(run_by_settings())
