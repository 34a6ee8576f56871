"""Folders among the system's temporary files, and those of them that dead processes have left.

A folder is marked by a file of which its process holds the lock: the kernel lets it go when the
process dies.
"""

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "dspatch-"
MARK = b"A folder of Dspatch, which may go when nobody holds the lock of this file.\n"
MARKED_BY = "in_use"


@contextmanager
def temporary_folder(parent: Path | None = None) -> Iterator[Path]:
    """Make a folder that goes at the end of the block, or by a cleanup once this process is dead.

    It is made where the system wants temporary files, unless another place is given.
    """
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=parent) as name:
        folder = Path(name)
        unmarked = folder / "new"
        with unmarked.open("xb", buffering=0) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            lock.write(MARK)
            unmarked.rename(folder / MARKED_BY)
            yield folder


def find_abandoned(parent: Path | None = None) -> Generator[Path]:
    """Give each folder whose process is dead; nobody else has it until the next is asked for."""
    for folder in (parent or Path(tempfile.gettempdir())).glob(f"{PREFIX}*"):
        with suppress(FileNotFoundError, NotADirectoryError, BlockingIOError):
            if not _is_ours(folder):
                continue
            with (folder / MARKED_BY).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if lock.read(len(MARK) + 1) == MARK and folder.exists():
                    yield folder


def count_abandoned(parent: Path | None = None) -> int:
    """Count the folders that dead processes have left."""
    return sum(1 for _ in find_abandoned(parent))


def remove_abandoned(parent: Path | None = None) -> int:
    """Remove the folders that dead processes have left; tell how many."""
    removed = 0
    for folder in find_abandoned(parent):
        shutil.rmtree(folder)
        removed += 1
    return removed


def _is_ours(folder: Path) -> bool:
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
