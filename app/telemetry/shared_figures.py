"""Figures of processes that serve together: each counts in files of its own, and one adds them up.

The files are those of prometheus_client's multiprocess mode, named by the number of a server, not
of a process: the process that replaces a dead one counts on where that one stopped.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import multiprocess, values
from prometheus_client.registry import Collector

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


@dataclass(frozen=True)
class SharedFigures:
    """Where processes that serve together count, and the number of one of them."""

    folder: Path
    server: int

    def count_here(self) -> None:
        """Have what this process counts from now on be written there; before any metric is made."""
        os.environ[_FOLDER] = str(self.folder)
        values.ValueClass = values.MultiProcessValue(lambda: self.server)  # type: ignore[no-untyped-call]

    def forget_gauges(self) -> None:
        """Drop what a process that is dead said of itself; what it has counted stays."""
        multiprocess.mark_process_dead(self.server, self.folder)  # type: ignore[no-untyped-call]

    def of_all(self) -> Collector:
        """Give the figures of all processes, added up whenever somebody scrapes."""
        files: Collector = multiprocess.MultiProcessCollector(None, self.folder)  # type: ignore[no-untyped-call]
        return files
