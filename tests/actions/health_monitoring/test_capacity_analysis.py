"""The check of how much more would go."""

from typing import Any

import pytest

from app.actions.health_monitoring.capacity_analysis import ALL_WELL, look_at_capacity
from app.actions.health_monitoring.check import CheckStatus
from app.database import Database
from app.policies.processor_use import ProcessorUse
from tests.support.clock import ManualClock
from tests.support.health import MB, a_footprint, health_tools

GB = 1024 * MB


async def _result(database: Database, running: int = 0, **values: int | None) -> dict[str, Any]:
    tools = health_tools(database, footprint=a_footprint(**values), running=lambda: running)
    tools.vitals.cost.observe(0, 100 * MB)
    tools.vitals.cost.observe(10, 200 * MB)
    finding = await look_at_capacity(tools)
    assert finding.status is CheckStatus.HEALTHY
    assert finding.result is not None
    return dict(finding.result)


async def test_capacity_is_what_fits_into_the_free_memory(database: Database) -> None:
    """By what an execution was seen to hold: here 10 MB."""
    result = await _result(database, running=100, free_bytes=4_000 * MB, total_bytes=1_000 * MB)
    assert result == {
        "current_load": {
            "process_utilization": 0.04,
            "memory_usage_gb": pytest.approx(1_000 / 1_024),
            "overall_load": 0.2,
        },
        "capacity_recommendations": [ALL_WELL],
        "scaling_metrics": {
            "max_concurrent_executions": 500,
            "recommended_scaling_threshold": 0.7,
            "current_utilization": 0.2,
        },
    }


async def test_without_free_memory_nothing_more_goes(database: Database) -> None:
    """An idle process that cannot run anything is fully used."""
    result = await _result(database, free_bytes=0)
    assert result["scaling_metrics"]["max_concurrent_executions"] == 0
    assert result["scaling_metrics"]["current_utilization"] == 1.0


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"process_count": 810},
            [
                (
                    "81% of the processes and threads (810 of 1000) or file descriptors "
                    "(20 of 1024) are used: raise that limit, or run more replicas"
                ),
                (
                    "The load is 81% of processes, threads or descriptors, "
                    "over the threshold of 70%: run more replicas"
                ),
            ],
        ),
        (
            {"total_bytes": 3 * GB, "free_bytes": 5 * GB},
            ["3.00 GB of memory are used, more than 2.00 GB: run more replicas"],
        ),
        ({"total_bytes": 3 * GB, "limit_bytes": 4 * GB, "free_bytes": 2 * GB}, [ALL_WELL]),
        (
            {"total_bytes": 3 * GB + GB // 2, "limit_bytes": 4 * GB, "free_bytes": GB // 2},
            [
                (
                    "3.50 GB of memory are used, 88% of the container's 4.00 GB: "
                    "raise its limit, or run more replicas"
                ),
                "The load is 88% of memory, over the threshold of 70%: run more replicas",
            ],
        ),
        (
            {"running": 400, "free_bytes": GB},
            [
                (
                    "The load is 80% of the executions that memory allows, "
                    "over the threshold of 70%: run more replicas"
                ),
            ],
        ),
    ],
    ids=["processes", "memory", "within a container", "a full container", "executions"],
)
async def test_each_recommendation_names_its_figure(
    database: Database, values: dict[str, int], expected: list[str]
) -> None:
    """And what to do about it."""
    assert (await _result(database, **values))["capacity_recommendations"] == expected


async def test_a_busy_processor_is_a_load(database: Database) -> None:
    """Of one processor, since one event loop works on no more."""
    clock = ManualClock()
    tools = health_tools(database, clock=clock)
    tools.vitals.processor = ProcessorUse(clock, lambda: clock.monotonic() * 0.9)
    clock.advance(15)
    finding = await look_at_capacity(tools)
    assert finding.result is not None
    assert finding.result["capacity_recommendations"] == [
        "The load is 90% of a processor, over the threshold of 70%: run more replicas"
    ]
