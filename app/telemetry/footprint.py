"""What this process and its children hold of the machine: memory, threads, descriptors."""

import resource
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import psutil

from app.telemetry.container import Container, Read, read_file

_MOST_THREADS = "/proc/sys/kernel/threads-max"


@dataclass(frozen=True)
class Footprint:
    """Bytes and counts. What has a limit of the container's counts all that runs in it.

    `process_count` are processes and threads, as the kernel limits them. A limit that nobody has
    set is None.
    """

    process_bytes: int
    total_bytes: int
    limit_bytes: int | None
    free_bytes: int
    process_count: int
    process_limit: int | None
    threads: int
    file_descriptors: int
    file_descriptor_limit: int | None


class FootprintReader:
    """Reads a process, which blocks for some milliseconds."""

    def __init__(
        self,
        process: psutil.Process | None = None,
        container: Container | None = None,
        read: Read = read_file,
    ) -> None:
        self._process = process or psutil.Process()
        self._container = container or Container(read)
        self._read = read

    def __call__(self) -> Footprint:
        """Look at it now."""
        children = list(_holdings(self._process.children(recursive=True)))
        own_bytes, threads = self._process.memory_info().rss, self._process.num_threads()
        memory, tasks = self._container.memory(), self._container.tasks()
        total_bytes = own_bytes + sum(child_bytes for child_bytes, _ in children)
        process_count = threads + sum(child_threads for _, child_threads in children)
        free_of_machine = psutil.virtual_memory().available
        return Footprint(
            process_bytes=own_bytes,
            total_bytes=max(total_bytes, memory.used if memory else 0),
            limit_bytes=memory.limit if memory else None,
            free_bytes=min(free_of_machine, memory.left) if memory else free_of_machine,
            process_count=max(process_count, tasks.used if tasks else 0),
            process_limit=tasks.limit if tasks else self._most_processes(),
            threads=threads,
            file_descriptors=self._process.num_fds(),
            file_descriptor_limit=_soft(resource.RLIMIT_NOFILE),
        )

    def _most_processes(self) -> int | None:
        """Give the least of what the user and the machine may have."""
        of_machine = self._read(_MOST_THREADS)
        limits = [_soft(resource.RLIMIT_NPROC), int(of_machine) if of_machine else None]
        return min((limit for limit in limits if limit is not None), default=None)


def _holdings(processes: Iterable[psutil.Process]) -> Iterator[tuple[int, int]]:
    """Give the memory and the threads of those that still live."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            yield process.memory_info().rss, process.num_threads()


def _soft(limit: int) -> int | None:
    soft, _ = resource.getrlimit(limit)
    return None if soft == resource.RLIM_INFINITY else soft
