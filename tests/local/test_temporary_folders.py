"""Folders among the temporary files: whose they are, and which have been left."""

import os
import subprocess
import sys
from pathlib import Path

from app.local.temporary_folders import (
    MARK,
    MARKED_BY,
    count_abandoned,
    find_abandoned,
    remove_abandoned,
    temporary_folder,
)

DIES_OVER_IT = """
import os, signal, sys
from pathlib import Path
from app.local.temporary_folders import temporary_folder
with temporary_folder(Path(sys.argv[1])) as folder:
    (folder / "link").symlink_to(sys.argv[2])
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_goes_and_nothing_that_it_points_to(tmp_path: Path) -> None:
    """The kernel lets its lock go, however it died."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").touch()
    command = [sys.executable, "-c", DIES_OVER_IT, str(tmp_path), str(elsewhere)]
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run(command, env=environment, check=False)  # noqa: S603 - our own
    (left,) = tmp_path.glob("dspatch-*")
    assert (count_abandoned(tmp_path), (left / "link/file").exists()) == (1, True)
    assert (remove_abandoned(tmp_path), left.exists()) == (1, False)
    assert (elsewhere / "file").exists()
    assert (count_abandoned(tmp_path), remove_abandoned(tmp_path)) == (0, 0)


def test_a_folder_in_use_stays_until_its_end(tmp_path: Path) -> None:
    """Its process holds its lock, and removes it itself."""
    with temporary_folder(tmp_path) as folder:
        assert (remove_abandoned(tmp_path), folder.exists()) == (0, True)
    assert not folder.exists()


def test_a_name_is_no_reason_to_remove_anything(tmp_path: Path) -> None:
    """Nor is a file of the mark's name, a link to a folder, or another user's folder."""
    (tmp_path / "dspatch-1").mkdir()
    (tmp_path / "dspatch-2").touch()
    (tmp_path / "dspatch-3").mkdir()
    (tmp_path / "dspatch-3" / MARKED_BY).write_bytes(MARK + b"\xff")
    (tmp_path / "marked").mkdir()
    (tmp_path / "marked" / MARKED_BY).write_bytes(MARK)
    (tmp_path / "dspatch-4").symlink_to(tmp_path / "marked")
    assert (count_abandoned(tmp_path), remove_abandoned(tmp_path)) == (0, 0)
    (tmp_path / "marked").rename(tmp_path / "dspatch-5")
    assert (count_abandoned(tmp_path), remove_abandoned(tmp_path)) == (1, 1)


def test_of_two_that_clean_one_has_a_folder(tmp_path: Path) -> None:
    """The other finds it in use, or gone."""
    (tmp_path / "dspatch-1").mkdir()
    (tmp_path / "dspatch-1" / MARKED_BY).write_bytes(MARK)
    found = find_abandoned(tmp_path)
    next(found)
    assert (count_abandoned(tmp_path), remove_abandoned(tmp_path)) == (0, 0)
    found.close()
    assert remove_abandoned(tmp_path) == 1
