"""Check: how much more this process can take, by its free memory and what executions cost."""

from collections.abc import Iterator
from dataclasses import dataclass

from app.actions.health_monitoring.check import CheckStatus, Finding, Tools
from app.actions.health_monitoring.system_status import MB, used_share
from app.telemetry.footprint import Footprint

SCALING_THRESHOLD = 0.7
MOST_PROCESSES = 0.8
MOST_MEMORY = 0.8
MOST_BYTES = 2 * 1024 * MB
"""Memory where no container limits it."""

ALL_WELL = "System operating within normal parameters"


@dataclass(frozen=True)
class Capacity:
    """What this process carries now, and could carry; shares are 0 to 1 unless it is too much."""

    footprint: Footprint
    processor_share: float
    running: int
    most_running: int

    @property
    def process_utilization(self) -> float:
        """The share of processes and threads, or of descriptors, whichever is shorter."""
        footprint = self.footprint
        processes = used_share(footprint.process_count, footprint.process_limit)
        descriptors = used_share(footprint.file_descriptors, footprint.file_descriptor_limit)
        return max(processes, descriptors)

    @property
    def memory_share(self) -> float:
        """The share of the memory that there is for this process."""
        used = self.footprint.total_bytes
        return used / (used + self.footprint.free_bytes)

    @property
    def utilization(self) -> float:
        """The share of the executions that could run at once."""
        return self.running / self.most_running if self.most_running else 1.0

    @property
    def load(self) -> tuple[float, str]:
        """The largest of all shares, and what it is the share of."""
        return max(
            (self.process_utilization, "of processes, threads or descriptors"),
            (self.memory_share, "of memory"),
            (self.processor_share, "of a processor"),
            (self.utilization, "of the executions that memory allows"),
        )


async def look_at_capacity(tools: Tools) -> Finding:
    """Tell the load, and what to do about it; a recommendation is no illness."""
    capacity = _capacity(await tools.vitals.footprint(), tools)
    load, _ = capacity.load
    result = {
        "current_load": {
            "process_utilization": capacity.process_utilization,
            "memory_usage_gb": capacity.footprint.total_bytes / (1024 * MB),
            "overall_load": load,
        },
        "capacity_recommendations": list(recommend(capacity)) or [ALL_WELL],
        "scaling_metrics": {
            "max_concurrent_executions": capacity.most_running,
            "recommended_scaling_threshold": SCALING_THRESHOLD,
            "current_utilization": capacity.utilization,
        },
    }
    return Finding(CheckStatus.HEALTHY, result)


def _capacity(footprint: Footprint, tools: Tools) -> Capacity:
    running = tools.running()
    more = int(footprint.free_bytes / tools.vitals.cost.bytes)
    # One event loop works on one processor, however many there are.
    return Capacity(footprint, tools.vitals.processor.percent / 100, running, running + more)


def recommend(capacity: Capacity) -> Iterator[str]:
    """Say what to do about each figure that is too high."""
    footprint, memory = capacity.footprint, capacity.footprint.total_bytes
    if capacity.process_utilization > MOST_PROCESSES:
        yield (
            f"{capacity.process_utilization:.0%} of the processes and threads "
            f"({footprint.process_count} of {footprint.process_limit}) or file descriptors "
            f"({footprint.file_descriptors} of {footprint.file_descriptor_limit}) are used: "
            "raise that limit, or run more replicas"
        )
    if footprint.limit_bytes is None and memory > MOST_BYTES:
        yield f"{_gb(memory)} of memory are used, more than {_gb(MOST_BYTES)}: run more replicas"
    elif footprint.limit_bytes is not None and memory > MOST_MEMORY * footprint.limit_bytes:
        yield (
            f"{_gb(memory)} of memory are used, {memory / footprint.limit_bytes:.0%} of the "
            f"container's {_gb(footprint.limit_bytes)}: raise its limit, or run more replicas"
        )
    load, what = capacity.load
    if load > SCALING_THRESHOLD:
        yield (
            f"The load is {load:.0%} {what}, over the threshold of {SCALING_THRESHOLD:.0%}: "
            "run more replicas"
        )


def _gb(size: float) -> str:
    return f"{size / (1024 * MB):.2f} GB"
