"""Whose child a process is: the mark, and what is found by it."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

from app.adapters.parentage import (
    MARK,
    count_orphans,
    find_orphans,
    kill_orphans,
    mark_of_children,
    place_of_numbers,
)
from tests.support.wait import wait_until

NOBODY = 4_194_303
"""A number that is given last."""


class Machine:
    """A boot of its own, on which nothing but a test's processes can be seen."""

    def __init__(self, proc: Path) -> None:
        self.proc = proc
        (proc / "sys/kernel/random").mkdir(parents=True)
        (proc / "sys/kernel/random/boot_id").write_text(f"{proc}\n")
        (proc / str(os.getpid())).symlink_to(f"/proc/{os.getpid()}")
        (proc / "self").symlink_to(str(os.getpid()))

    def mark(self, number: int = NOBODY, began: str = "0") -> str:
        """Give the mark of the children of a process."""
        return f"{place_of_numbers(self.proc)}/{number}/{began}"

    @contextmanager
    def process(self, mark: str | None) -> Iterator[subprocess.Popen[bytes]]:
        """Run a process that has a mark in its environment."""
        environment = {} if mark is None else {MARK: mark}
        pipe = subprocess.PIPE
        with subprocess.Popen(["/bin/cat"], stdin=pipe, stdout=pipe, env=environment) as process:
            await_answer(process)
            (self.proc / str(process.pid)).symlink_to(f"/proc/{process.pid}")
            try:
                yield process
            finally:
                process.kill()


def await_answer(process: subprocess.Popen[bytes]) -> None:
    """Return when a process runs its own program: only then its environment can be seen."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b".")
    process.stdin.flush()
    assert process.stdout.read(1) == b"."


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Make a machine that no other test sees."""
    return Machine(tmp_path)


@pytest.fixture
def a_thread() -> Iterator[Thread]:
    """Run a thread of this process."""
    is_over = Event()
    thread = Thread(target=is_over.wait)
    thread.start()
    yield thread
    is_over.set()
    thread.join()


def ended(process: subprocess.Popen[bytes]) -> bool:
    """Tell whether a process has ended, and leave it to be reaped."""
    how = os.WEXITED | os.WNOWAIT | os.WNOHANG
    return os.waitid(os.P_PID, process.pid, how) is not None


def began_of(process: subprocess.Popen[bytes]) -> str:
    """Give the tick of the boot at which a process began."""
    return Path(f"/proc/{process.pid}/stat").read_text().split()[21]


async def test_what_the_dead_have_left_is_killed(machine: Machine, a_thread: Thread) -> None:
    """Their parent's number is nobody's, another's by now, or a thread's."""
    for number in (NOBODY, os.getpid(), a_thread.native_id):
        assert number is not None
        with machine.process(machine.mark(number)) as orphan, machine.process(None):
            assert (count_orphans(machine.proc), ended(orphan)) == (1, False)
            assert kill_orphans(machine.proc) == 1
            await wait_until(lambda process=orphan: ended(process))  # type: ignore[misc]
            assert (count_orphans(machine.proc), kill_orphans(machine.proc)) == (0, 0)


async def test_a_parent_is_dead_whether_anybody_reaps_it_or_not(machine: Machine) -> None:
    """Its number is its own until then; but nothing of it runs."""
    with (
        machine.process(None) as parent,
        machine.process(machine.mark(parent.pid, began_of(parent))),
    ):
        assert count_orphans(machine.proc) == 0
        parent.kill()
        await wait_until(lambda: ended(parent))
        assert count_orphans(machine.proc) == 1
        parent.wait()
        assert count_orphans(machine.proc) == 1


@pytest.mark.parametrize(
    "mark",
    [
        pytest.param(lambda machine: mark_of_children(machine.proc)[MARK], id="of the living"),
        pytest.param(lambda machine: machine.mark(os.getppid()), id="of one that is hidden"),
        pytest.param(lambda _machine: "", id="empty"),
        pytest.param(lambda _machine: "nobody", id="no mark"),
        pytest.param(lambda machine: machine.mark(0), id="of no number"),
        pytest.param(lambda machine: f"9{machine.mark()}", id="of another boot"),
        pytest.param(lambda machine: machine.mark().replace("pid:[", "pid:[9"), id="of elsewhere"),
    ],
)
def test_who_is_not_surely_an_orphan_is_left_alone(
    machine: Machine, mark: Callable[[Machine], str]
) -> None:
    """Numbers of elsewhere mean nothing here, and not all that has the variable has it from us."""
    with machine.process(mark(machine)):
        assert count_orphans(machine.proc) == 0


def test_a_signal_goes_to_what_was_found(machine: Machine) -> None:
    """Not to who has its number when it is sent; what has ended meanwhile needs none."""
    with machine.process(machine.mark()) as orphan:
        found = find_orphans(machine.proc)
        held = next(found)
        words = Path(f"/proc/self/fdinfo/{held}").read_text().split()
        assert int(words[words.index("Pid:") + 1]) == orphan.pid
        found.close()


def test_where_numbers_mean_nothing_none_is_marked_or_found(tmp_path: Path) -> None:
    """On other systems, and where those of another namespace are shown."""
    assert (mark_of_children(tmp_path), [*find_orphans(tmp_path)]) == ({}, [])
    machine = Machine(tmp_path)
    (machine.proc / "1").symlink_to("/proc/1")
    assert mark_of_children(machine.proc)
    (machine.proc / "self").unlink()
    (machine.proc / "self").symlink_to("1")
    assert (mark_of_children(machine.proc), [*find_orphans(machine.proc)]) == ({}, [])
