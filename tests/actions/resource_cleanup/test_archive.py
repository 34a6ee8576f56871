"""What is deleted stands in files before it goes."""

import asyncio
import json
import resource
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from app.actions.resource_cleanup.archive import Archive
from app.actions.resource_cleanup.category import CategoryName, Tools
from app.database import Database
from app.models.ids import item_range
from app.models.states import ExecutionStatus
from app.stores.record_lines import LINES
from tests.actions.resource_cleanup import mess
from tests.actions.resource_cleanup.conftest import cleaned

OF_RETENTION = (
    CategoryName.PARTITIONS,
    CategoryName.EXPIRED_BATCHES,
    CategoryName.EXPIRED_EXECUTIONS,
)


@pytest.fixture
def archiving(tools: Tools, database: Database, tmp_path: Path) -> Tools:
    """Tools with an archive."""
    return replace(tools, archive=Archive(tmp_path, "run", database))


async def rows(database: Database, table: str) -> dict[str, Any]:
    """Read a table as PostgreSQL writes it, by id."""
    query = text(f"SELECT row_to_json(t)::text FROM {table} t")  # noqa: S608 - our own
    async with database.transaction() as tx:
        found = [json.loads(line) for line in await tx.processes._session.scalars(query)]
    return {one["id"]: one for one in found}


def archived(folder: Path, kind: str) -> list[dict[str, Any]]:
    """Read what the archive has of a kind."""
    files = sorted(folder.glob(f"{kind}-*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def modes(folder: Path) -> set[int]:
    """Read who may read and write the files of a folder."""
    return {path.stat().st_mode & 0o777 for path in folder.iterdir()}


async def test_all_that_goes_is_in_the_archive_as_it_was(
    database: Database, archiving: Tools, tmp_path: Path
) -> None:
    """With weeks that go whole, row by row, and in batches with their items; nothing else."""
    async with database.transaction() as tx:
        await mess.records(tx)
        pattern = await mess.a_record(tx, 60, ExecutionStatus.CANCELLED)
        await mess.copies(tx, pattern, LINES)
        whole = await mess.a_record(tx, 200)
        await mess.copies(tx, whole, LINES)
        batch_id = await mess.an_ended_batch(tx, 60)
        await mess.copies(tx, item_range(batch_id)[0], LINES)
    before = {kind: await rows(database, kind) for kind in ("executions", "batches")}
    report = await cleaned(archiving, *OF_RETENTION)
    assert report.summary.errors == 0
    for kind, was in before.items():
        gone = was.keys() - (await rows(database, kind)).keys()
        kept = archived(tmp_path, kind)
        assert len(kept) == len(gone) > 0
        for record in kept:
            lanes = record.pop("lanes", None)
            assert (lanes is not None) is (kind == "batches")
            assert record == was[record["id"]]
    assert modes(tmp_path) == {0o600}


@contextmanager
def no_room_beyond(size: int) -> Iterator[None]:
    """Have the system refuse to let a file of this process become larger."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_what_cannot_be_archived_stays(
    database: Database, archiving: Tools, tmp_path: Path
) -> None:
    """A line that was written half is taken back, and all goes when there is room."""
    async with database.transaction() as tx:
        await mess.a_record(tx, 60)
        await mess.a_record(tx, 60, None)
    before = await rows(database, "executions")
    with no_room_beyond(100):
        report = await cleaned(archiving, *OF_RETENTION)
    assert report.categories[CategoryName.EXPIRED_EXECUTIONS].errors == ["it failed (OSError)"]
    assert await rows(database, "executions") == before
    assert archived(tmp_path, "executions") == []
    assert (await cleaned(archiving, *OF_RETENTION)).summary.removed == 1
    assert len(archived(tmp_path, "executions")) == 1


async def test_two_that_archive_at_once_lose_nothing(
    database: Database, tools: Tools, tmp_path: Path
) -> None:
    """A record may stand in the files of both."""
    async with database.transaction() as tx:
        await mess.records(tx)
    before = await rows(database, "executions")
    each = [replace(tools, archive=Archive(tmp_path, run, database)) for run in ("one", "other")]
    reports = await asyncio.gather(*(cleaned(one, *OF_RETENTION) for one in each))
    assert [report.summary.errors for report in reports] == [0, 0]
    gone = before.keys() - (await rows(database, "executions")).keys()
    times = Counter(record["id"] for record in archived(tmp_path, "executions"))
    assert times.keys() == gone
    assert set(times.values()) <= {1, 2}
