"""`dspatch cleanup`, as an operator types it."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from app.commands.cli import cli
from app.database import Database
from tests.actions.resource_cleanup import mess


@pytest.fixture(autouse=True)
async def _a_mess(database_url: str, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key and some jobs to forget, in the database of the environment."""
    monkeypatch.setenv("DSPATCH_DATABASE__URL", database_url)
    async with database.transaction() as tx:
        await mess.keys(tx)
        await mess.jobs(tx)


def cleaned(*arguments: str) -> Result:
    """Type the command."""
    return CliRunner().invoke(cli, ["cleanup", *arguments], env={"COLUMNS": "200"})


def test_without_apply_nothing_is_changed() -> None:
    """People are told what would go; JSON has the contract's report."""
    both = ("--category", "expired_idempotency_keys", "--category", "finished_jobs")
    for _ in range(2):
        dry = cleaned(*both)
        assert dry.exit_code == 0
        assert re.search(r"expired_idempotency_keys +│ 1 +│ 0 +│ 0 ", dry.stdout)
        assert "A dry run: --apply would mend 6." in dry.stdout
    report = json.loads(cleaned("--json", *both).stdout)
    assert (report["dry_run"], report["summary"]["found"]) == (True, 6)
    assert report["categories"]["finished_jobs"]["found"] == 5


def test_with_apply_it_is_mended() -> None:
    """Of the named categories alone, until nothing is left."""
    only = ("--category", "finished_jobs")
    applied = cleaned("--apply", *only)
    assert (applied.exit_code, "dry run" in applied.stdout) == (0, False)
    assert re.search(r"finished_jobs +│ 5 +│ 5 +│ 0 ", applied.stdout)
    report = json.loads(cleaned("--apply", "--json").stdout)
    assert report["categories"]["finished_jobs"]["found"] == 0
    assert report["categories"]["expired_idempotency_keys"]["removed"] == 1


async def test_what_fails_is_bad_news(database: Database) -> None:
    """The exit code says so, and the report why; the others are mended."""
    async with database.transaction() as tx:
        session = tx.processes._session
        await session.execute(text("ALTER TABLE idempotency_keys RENAME TO gone"))
    try:
        applied = await asyncio.to_thread(cleaned, "--apply", "--json")
    finally:
        async with database.transaction() as tx:
            session = tx.processes._session
            await session.execute(text("ALTER TABLE gone RENAME TO idempotency_keys"))
    assert applied.exit_code == 1
    categories = json.loads(applied.stdout)["categories"]
    assert categories["expired_idempotency_keys"]["errors"] == ["it failed (ProgrammingError)"]
    assert categories["finished_jobs"]["removed"] == 5


def test_its_help_says_how_it_is_used() -> None:
    """With an example, and the options that all have."""
    shown = cleaned("--help")
    assert shown.exit_code == 0
    assert "For example `dspatch cleanup" in shown.stdout
    for option in (
        "--apply",
        "--category",
        "--archive",
        "--json",
        "--config",
        "--local",
        "--data-dir",
    ):
        assert option in shown.stdout
    assert cleaned("--category", "dust").exit_code == 2


async def test_what_is_deleted_can_be_archived(database: Database, tmp_path: Path) -> None:
    """Into a folder, in files of each run's own; a dry run deletes nothing, and has none."""
    folder = tmp_path / "a" / "b"
    async with database.transaction() as tx:
        await mess.a_record(tx, 60)
        await mess.a_record(tx, 60, None)
    only = ("--category", "expired_executions", "--archive", str(folder))
    assert (await asyncio.to_thread(cleaned, *only)).exit_code == 2
    assert (await asyncio.to_thread(cleaned, "--apply", *only)).exit_code == 0
    (archived,) = folder.glob("executions-*.jsonl")
    assert json.loads(archived.read_text())["status"] == "completed"
    refused = await asyncio.to_thread(cleaned, "--apply", "--archive", "/dev/null/folder")
    assert (refused.exit_code, "Cannot archive in /dev/null" in refused.stderr) == (1, True)
