"""Folders that dead processes have left among the temporary files."""

import tempfile
from pathlib import Path

import pytest

from app.actions.resource_cleanup.category import CategoryName
from app.local.temporary_folders import MARK, MARKED_BY, PREFIX, count_abandoned, temporary_folder
from tests.actions.resource_cleanup.conftest import CleanUp

FILES = CategoryName.TEMPORARY_FILES


async def test_what_a_dead_process_left_is_removed(
    clean_up: CleanUp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a dry run has said; what is in use stays, and is not even found."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = Path(tempfile.mkdtemp(prefix=PREFIX))
    (left / MARKED_BY).write_bytes(MARK)
    with temporary_folder():
        dry = (await clean_up(FILES, dry_run=True)).categories[FILES]
        assert (dry.found, dry.removed, dry.errors) == (1, 0, [])
        real = (await clean_up(FILES)).categories[FILES]
        assert (real.found, real.removed, real.errors) == (1, 1, [])
        assert count_abandoned() == 0
