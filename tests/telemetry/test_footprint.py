"""What a process holds, read from the machine."""

import resource
import subprocess
import sys

import psutil

from app.telemetry.container import Container
from app.telemetry.footprint import FootprintReader, _holdings

NOTHING: dict[str, str] = {}
MOST_THREADS = "/proc/sys/kernel/threads-max"
ROOT = "/sys/fs/cgroup"
CONTAINED = {
    "/proc/self/cgroup": "0::/\n",
    f"{ROOT}/memory.max": str(2**50),
    f"{ROOT}/memory.current": str(2**45),
    f"{ROOT}/pids.max": "100000",
    f"{ROOT}/pids.current": "99999",
}


def test_children_count_with_their_parent() -> None:
    """Their memory, and their threads; descriptors are each one's own."""
    free = FootprintReader(read=NOTHING.get)
    alone = free()
    sleeping = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(sleeping) as child:  # noqa: S603 - our own words
        both = free()
        child.kill()
    assert alone.process_bytes > 0
    assert both.total_bytes > both.process_bytes
    assert both.process_count > both.threads >= 1
    assert both.file_descriptors > 0
    assert both.limit_bytes is None


def test_a_container_counts_all_that_runs_in_it() -> None:
    """Where it has a limit, since the limit is theirs together."""
    found = FootprintReader(container=Container(CONTAINED.get))()
    assert (found.total_bytes, found.limit_bytes) == (2**45, 2**50)
    assert (found.process_count, found.process_limit) == (99_999, 100_000)


def test_without_a_container_the_machine_and_the_user_limit() -> None:
    """The lower of the two."""
    found = FootprintReader(read={MOST_THREADS: "7\n"}.get)()
    assert found.process_limit == 7
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    without = FootprintReader(read=NOTHING.get)().process_limit
    assert without == (None if soft == resource.RLIM_INFINITY else soft)


def test_a_process_that_has_gone_holds_nothing() -> None:
    """It may go between the list and the look."""
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        gone = psutil.Process(child.pid)
    assert list(_holdings([gone])) == []
