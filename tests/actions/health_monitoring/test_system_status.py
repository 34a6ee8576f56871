"""The check of this process."""

from collections.abc import Mapping
from typing import Any

import pytest

from app.actions.health_monitoring.check import CheckStatus, Finding
from app.actions.health_monitoring.system_status import look_at_system
from app.database import Database
from app.policies.drain import Drain, Stage
from tests.support.clock import ManualClock
from tests.support.health import MB, a_footprint, health_tools


async def _look(database: Database, **values: Any) -> Finding:
    return await look_at_system(health_tools(database, **values))


async def _look_at(database: Database, **values: int | None) -> Finding:
    return await _look(database, footprint=a_footprint(**values))


def _components(finding: Finding) -> Mapping[str, Any]:
    assert finding.result is not None
    components: Mapping[str, Any] = finding.result["components"]
    return components


async def test_a_good_process_is_told_in_the_contracts_shape(database: Database) -> None:
    """With every figure, and no component that failed."""
    clock = ManualClock()
    tools = health_tools(database, clock=clock, tasks=lambda: {"sweep": True, "fold": True})
    clock.advance(1.5)
    finding = await look_at_system(tools)
    assert (finding.status, finding.error) == (CheckStatus.HEALTHY, None)
    assert finding.result is not None
    tasks = finding.result["components"]["process_count"].pop("tasks")
    assert tasks >= 1
    assert finding.result == {
        "components": {
            "application": {"status": "running"},
            "supervision_tree": {"total_children": 2, "running_children": 2, "all_running": True},
            "memory_usage": {
                "total_mb": 200.0,
                "process_mb": 100.0,
                "limit_mb": None,
                "status": "normal",
            },
            "process_count": {
                "process_count": 40,
                "process_limit": 1_000,
                "usage_percent": 4.0,
                "status": "normal",
                "threads": 30,
                "file_descriptors": 20,
                "file_descriptor_limit": 1_024,
            },
        },
        "failed_components": [],
        "uptime_ms": 1_500,
    }


async def test_a_task_that_waits_to_start_again_is_an_error(database: Database) -> None:
    """It is named; that memory is short as well does not hide it."""
    footprint = a_footprint(total_bytes=2_000 * MB)
    tasks = {"sweep": True, "fold counts": False}
    finding = await _look(database, footprint=footprint, tasks=lambda: tasks)
    assert finding.status is CheckStatus.ERROR
    assert finding.error == "start again after a failure: fold counts"
    assert finding.result is not None
    assert finding.result["failed_components"] == ["supervision_tree", "memory_usage"]
    assert _components(finding)["supervision_tree"] == {
        "total_children": 2,
        "running_children": 1,
        "all_running": False,
    }


@pytest.mark.parametrize(
    ("total_mb", "limit_mb", "expected"),
    [
        (500, None, "normal"),
        (501, None, "medium"),
        (1_024, None, "medium"),
        (1_025, None, "high"),
        (600, 1_000, "normal"),
        (601, 1_000, "medium"),
        (800, 1_000, "medium"),
        (801, 1_000, "high"),
        (3_000, 10_000, "normal"),
    ],
)
async def test_memory_is_held_against_the_containers_limit_where_there_is_one(
    database: Database, total_mb: int, limit_mb: int | None, expected: str
) -> None:
    """Much is healthy, too much a warning."""
    limit_bytes = limit_mb and limit_mb * MB
    finding = await _look_at(database, total_bytes=total_mb * MB, limit_bytes=limit_bytes)
    memory = _components(finding)["memory_usage"]
    assert (memory["limit_mb"], memory["status"]) == (limit_mb, expected)
    is_high = expected == "high"
    assert finding.status is (CheckStatus.WARNING if is_high else CheckStatus.HEALTHY)
    assert finding.error == ("high: memory_usage" if is_high else None)


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ({"process_count": 600}, 60.0, "normal"),
        ({"process_count": 601}, 60.1, "medium"),
        ({"process_count": 801}, 80.1, "high"),
        ({"process_count": 10**6, "process_limit": None}, 0.0, "normal"),
        ({"file_descriptors": 801, "file_descriptor_limit": 1_000}, 4.0, "high"),
        ({"file_descriptors": 10**6, "file_descriptor_limit": None}, 4.0, "normal"),
    ],
)
async def test_threads_and_descriptors_are_held_against_their_limits(
    database: Database, values: Mapping[str, int | None], percent: float, expected: str
) -> None:
    """The one that is shorter says how it stands."""
    finding = await _look_at(database, **values)
    processes = _components(finding)["process_count"]
    assert processes["usage_percent"] == pytest.approx(percent)
    assert processes["status"] == expected
    assert (finding.error == "high: process_count") is (expected == "high")


async def test_a_draining_process_says_so(database: Database) -> None:
    """It is healthy: it does as it was told."""
    drain = Drain()
    drain.go_to(Stage.DRAINING)
    finding = await _look(database, drain=drain)
    assert _components(finding)["application"] == {"status": "draining"}
    assert finding.status is CheckStatus.HEALTHY
