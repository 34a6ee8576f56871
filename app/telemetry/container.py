"""What the container that this process runs in may use, by its cgroups of version 2 or 1."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_ROOT = "/sys/fs/cgroup"
_OWN = "/proc/self/cgroup"

_UNLIMITED = 1 << 60
"""Version 1 writes a limit above every machine's memory where there is none."""

Read = Callable[[str], str | None]
"""Gives the text of a file, or None where there is none."""


@dataclass(frozen=True)
class Allowance:
    """What has been used of a limit: bytes, or tasks."""

    used: int
    limit: int

    @property
    def left(self) -> int:
        """What has not been used."""
        return max(0, self.limit - self.used)


@dataclass(frozen=True)
class _Files:
    """Where a version of cgroups says it; what it may drop at once is no use of memory."""

    limit: str
    used: str
    droppable: str = ""


_MEMORY = (
    _Files("memory.max", "memory.current", "inactive_file"),
    _Files("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
_TASKS = (_Files("pids.max", "pids.current"),)


def read_file(path: str) -> str | None:
    """Read a file of the kernel's."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return None


class Container:
    """Reads the limits anew each time: an operator may change them while the process runs."""

    def __init__(self, read: Read = read_file) -> None:
        self._read = read

    def memory(self) -> Allowance | None:
        """Give the bytes; None where there is no limit."""
        return self._tightest("memory", _MEMORY)

    def tasks(self) -> Allowance | None:
        """Give the processes and threads; None where there is no limit."""
        return self._tightest("pids", _TASKS)

    def _tightest(self, controller: str, versions: tuple[_Files, ...]) -> Allowance | None:
        """Groups lie within each other, and each may have a limit: the one with the least left."""
        found = (
            self._allowance(group, files)
            for group in self._groups(controller)
            for files in versions
        )
        limited = [allowance for allowance in found if allowance is not None]
        return min(limited, key=lambda one: one.left, default=None)

    def _groups(self, controller: str) -> Iterator[str]:
        """Give the folders of this process's group and of those around it.

        From within a container they may be the host's, and not there; the outermost then is ours.
        """
        for line in (self._read(_OWN) or "").splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers or controller in controllers.split(","):
                steps = [step for step in path.split("/") if step]
                root = f"{_ROOT}/{controller}" if controllers else _ROOT
                for depth in range(len(steps) + 1):
                    yield "/".join([root, *steps[:depth]])

    def _allowance(self, group: str, files: _Files) -> Allowance | None:
        limit, used = self._number(group, files.limit), self._number(group, files.used)
        if limit is None or used is None or limit >= _UNLIMITED:
            return None
        return Allowance(used - self._droppable(group, files.droppable), limit)

    def _number(self, group: str, file: str) -> int | None:
        text = (self._read(f"{group}/{file}") or "").strip()
        return int(text) if text.isdigit() else None

    def _droppable(self, group: str, name: str) -> int:
        if not name:
            return 0
        lines = (self._read(f"{group}/memory.stat") or "").splitlines()
        figures = dict(line.split(maxsplit=1) for line in lines)
        return int(figures.get(name, 0))
