"""Whose child a process is: a mark in its environment, which all that it starts inherits.

A mark names the parent by its number and the tick of the boot at which it began, which no change
of the clock moves, and says where these count: on which boot, in which namespaces. What was marked
elsewhere is never judged.
"""

import errno
import os
import re
import select
import signal
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

MARK = "_DSPATCH_CHILD_OF"
"""The variable that holds the mark; no setting, though a child may start `dspatch`."""

PROC = Path("/proc")

_TEXT = re.compile(r"(?P<place>.+)/(?P<number>[1-9][0-9]{0,8})/(?P<began>[0-9]+)")
_BEGAN = 19
"""The place of the tick in /proc/<number>/stat, behind the name; proc(5) counts it as the 22nd."""

_GONE = (FileNotFoundError, ProcessLookupError)
_NO_PROCESS = {errno.ESRCH, errno.ENOENT, errno.EINVAL}
"""What is said of a number that nobody has, or a thread by now, by newer and older systems."""


def mark_of_children(proc: Path = PROC) -> Mapping[str, str]:
    """Give the variable for the children of this process; none where Linux does not tell."""
    place = place_of_numbers(proc)
    if place is None:
        return {}
    return {MARK: f"{place}/{os.getpid()}/{_began(proc / 'self')}"}


def place_of_numbers(proc: Path = PROC) -> str | None:
    """Say where the numbers and ticks of processes count that `proc` shows.

    None where it is not Linux's, or shows them as another namespace numbers them.
    """
    try:
        boot = (proc / "sys/kernel/random/boot_id").read_text().strip()
        spaces = [str((proc / "self/ns" / name).readlink()) for name in ("pid", "time")]
        number = str((proc / "self").readlink())
    except OSError:
        return None
    return "/".join([boot, *spaces]) if number == str(os.getpid()) else None


def find_orphans(proc: Path = PROC) -> Generator[int]:
    """Give a pidfd of each process here whose parent by its mark has died, open until the next."""
    place = place_of_numbers(proc)
    if place is None:
        return
    for entry in proc.iterdir():
        if entry.name.isdecimal():
            with suppress(*_GONE), _held(int(entry.name)) as process:
                # If it is still there it was this one that was read, and none that came after it.
                if _is_orphan(entry, place) and not _is_over(process):
                    yield process


def count_orphans(proc: Path = PROC) -> int:
    """Count the orphans on this machine."""
    return sum(1 for _ in find_orphans(proc))


def kill_orphans(proc: Path = PROC) -> int:
    """Kill the orphans on this machine; tell how many."""
    killed = 0
    for process in find_orphans(proc):
        with suppress(ProcessLookupError):  # it has ended by itself
            signal.pidfd_send_signal(process, signal.SIGKILL)
            killed += 1
    return killed


def _is_orphan(process: Path, place: str) -> bool:
    parent = _TEXT.fullmatch(_mark_of(process))
    return parent is not None and parent["place"] == place and _has_died(process.parent, parent)


def _mark_of(process: Path) -> str:
    """Read the mark of a process; none where it has none, or is somebody else's."""
    prefix = f"{MARK}="
    with suppress(PermissionError):
        variables = os.fsdecode((process / "environ").read_bytes()).split("\0")
        marks = [one for one in variables if one.startswith(prefix)]
        return marks[0].removeprefix(prefix) if marks else ""
    return ""


def _has_died(proc: Path, parent: re.Match[str]) -> bool:
    """Tell whether a parent is over, or its number another's by now; in doubt it is not."""
    number = int(parent["number"])
    try:
        with _held(number) as holder:
            began = _began(proc / str(number))
            return began not in {parent["began"], None} or _is_over(holder)
    except OSError as error:
        return error.errno in _NO_PROCESS


@contextmanager
def _held(number: int) -> Iterator[int]:
    """Hold the process of this number, so that it is known from a later one of the same."""
    handle = os.pidfd_open(number)
    try:
        yield handle
    finally:
        os.close(handle)


def _is_over(process: int) -> bool:
    """Tell whether a process has ended with all its threads, reaped or not."""
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(0))


def _began(process: Path) -> str | None:
    """Give the tick at which a process began; None where it is gone, or hidden."""
    try:
        text = (process / "stat").read_text(errors="replace")
    except _GONE:
        return None
    return text.rpartition(")")[2].split()[_BEGAN]
