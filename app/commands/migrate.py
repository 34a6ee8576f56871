"""`dspatch migrate`: bring the database's schema to head."""

import asyncio

from app.commands.console import out, plain_errors
from app.commands.options import Config
from app.database import Database
from app.settings import load_settings


def migrate(config: Config = None) -> None:
    """Bring the database's schema to the revision that this program needs.

    For example `dspatch migrate --config dspatch.toml`, or with the address in a variable:
    `DSPATCH_DATABASE__URL=postgresql://user@host/name dspatch migrate`.
    """
    with plain_errors():
        asyncio.run(Database.migrate(load_settings(config).database))
    out.print("The schema is at head.")
