"""Limits of containers, read from a kernel's files that are given here."""

from pathlib import Path

import pytest

from app.telemetry.container import Allowance, Container, read_file

ROOT = "/sys/fs/cgroup"

IN_A_CONTAINER = {
    "/proc/self/cgroup": "0::/\n",
    f"{ROOT}/memory.max": "1000\n",
    f"{ROOT}/memory.current": "700\n",
    f"{ROOT}/memory.stat": "anon 500\ninactive_file 150\n",
    f"{ROOT}/pids.max": "64\n",
    f"{ROOT}/pids.current": "12\n",
}
NESTED = {
    "/proc/self/cgroup": "0::/pod/dspatch\n",
    f"{ROOT}/pod/memory.max": "1000\n",
    f"{ROOT}/pod/memory.current": "900\n",
    f"{ROOT}/pod/dspatch/memory.max": "800\n",
    f"{ROOT}/pod/dspatch/memory.current": "300\n",
}
OLD = {
    "/proc/self/cgroup": "3:cpu,cpuacct:/docker/7\n2:memory:/docker/7\n1:pids:/docker/7\n",
    f"{ROOT}/memory/memory.limit_in_bytes": "1000\n",
    f"{ROOT}/memory/memory.usage_in_bytes": "700\n",
    f"{ROOT}/memory/memory.stat": "cache 300\ntotal_inactive_file 200\n",
    f"{ROOT}/pids/pids.max": "max\n",
    f"{ROOT}/pids/pids.current": "12\n",
}
UNLIMITED = {
    "/proc/self/cgroup": "2:memory:/\n",
    f"{ROOT}/memory/memory.limit_in_bytes": "9223372036854771712\n",
    f"{ROOT}/memory/memory.usage_in_bytes": "700\n",
}


@pytest.mark.parametrize(
    ("files", "memory", "tasks"),
    [
        (IN_A_CONTAINER, Allowance(550, 1000), Allowance(12, 64)),
        ({**IN_A_CONTAINER, f"{ROOT}/memory.max": "max\n"}, None, Allowance(12, 64)),
        (NESTED, Allowance(900, 1000), None),
        (OLD, Allowance(500, 1000), None),
        (UNLIMITED, None, None),
        ({}, None, None),
    ],
    ids=["version 2", "no limit", "nested", "version 1", "no limit of version 1", "no cgroups"],
)
def test_the_tightest_limit_counts(
    files: dict[str, str], memory: Allowance | None, tasks: Allowance | None
) -> None:
    """In either version; what the kernel drops when it needs to is not used."""
    container = Container(files.get)
    assert (container.memory(), container.tasks()) == (memory, tasks)


def test_files_are_read_from_the_machine(tmp_path: Path) -> None:
    """What is not there is nothing."""
    (tmp_path / "memory.max").write_text("max\n", encoding="utf-8")
    assert read_file(str(tmp_path / "memory.max")) == "max\n"
    assert read_file(str(tmp_path / "memory.min")) is None
