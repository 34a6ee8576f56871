"""A process that cleans up, and kills itself at one of its steps."""

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from app.actions.resource_cleanup.archive import Archive
from app.database import Database
from app.settings import Settings
from tests.actions.resource_cleanup.conftest import cleaned, some_tools


def clean_and_die(settings: Settings, folder: Path, step: int) -> None:
    """Clean up and archive; die before the statement, or the commit, of this number, from 1."""
    left = step

    def die_in_time(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", die_in_time)
    event.listen(Engine, "commit", die_in_time)
    asyncio.run(_clean(settings, folder, f"dying-{step:04}"))


async def _clean(settings: Settings, folder: Path, run: str) -> None:
    database = Database.connect(settings.database)
    tools = some_tools(settings, database)
    await cleaned(replace(tools, archive=Archive(folder, run, database)))
    await database.close()
