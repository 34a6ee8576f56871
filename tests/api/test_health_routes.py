"""The report on health, over HTTP."""

import httpx
import pytest

from tests.support.factories import post_execution, post_program

STANDARD = ["system_status", "adapter_status", "resource_status", "database_connectivity"]


async def test_the_report_has_the_contracts_shape(client: httpx.AsyncClient) -> None:
    """The standard checks where nothing else is asked for; times in UTC."""
    answer = await client.get("/v1/health")
    report = answer.json()
    assert answer.status_code == 200
    assert list(report) == ["timestamp", "check_level", "overall_status", "checks", "summary"]
    assert report["timestamp"].endswith("Z")
    assert (report["check_level"], report["overall_status"]) == ("standard", "healthy")
    assert list(report["checks"]) == STANDARD
    for check in report["checks"].values():
        assert set(check) == {"status", "result", "duration_ms", "timestamp"}
    components = report["checks"]["system_status"]["result"]["components"]
    assert components["supervision_tree"]["all_running"]
    assert components["supervision_tree"]["total_children"] > 5
    statuses = report["checks"]["adapter_status"]["result"]["adapter_statuses"]
    assert set(statuses["mock"]) == {"status", "latency_ms"}
    assert report["summary"]["total_checks"] == 4


async def test_the_comprehensive_report_has_eight_checks(client: httpx.AsyncClient) -> None:
    """Each with a result of its shape, on an empty history as well."""
    answer = await client.get("/v1/health?check_level=comprehensive")
    checks = answer.json()["checks"]
    assert answer.status_code == 200
    assert list(checks) == [
        *STANDARD,
        "performance_metrics",
        "resource_utilization",
        "error_rates",
        "capacity_analysis",
    ]
    assert {check["status"] for check in checks.values()} == {"healthy"}
    assert checks["performance_metrics"]["result"]["success_rate"] is None
    assert checks["capacity_analysis"]["result"]["scaling_metrics"]["current_utilization"] == 0


async def test_failures_are_told_with_their_ids(client: httpx.AsyncClient) -> None:
    """As patterns, and one by one."""
    program = await post_program(client, {"error": {"type": "backend_error", "message": "no 7"}})
    failed = (await post_execution(client, program, options={"max_retries": 0})).json()
    checks = (await client.get("/v1/health?check_level=comprehensive")).json()["checks"]
    found = checks["error_rates"]["result"]
    assert found["error_patterns"][0]["pattern"] == "backend_error: no <number>"
    (recent,) = found["recent_errors"]
    assert recent["execution_id"] == failed["execution_id"]
    assert recent["program_id"] == program["program_id"]
    assert recent["timestamp"].endswith("Z")


async def test_metrics_are_told_beside(client: httpx.AsyncClient) -> None:
    """Where they are asked for, under their names."""
    answer = await client.get("/v1/health", params={"include_metrics": "true"})
    metrics = answer.json()["detailed_metrics"]
    assert {"labels": {"state": "checked_out"}, "value": 0.0} in metrics["dspatch_pool_connections"]


@pytest.mark.parametrize("query", ["check_level=deepest", "include_metrics=maybe", "level=deep"])
async def test_what_nobody_knows_is_refused(client: httpx.AsyncClient, query: str) -> None:
    """By its place in the query."""
    answer = await client.get(f"/v1/health?{query}")
    name, _, _ = query.partition("=")
    assert answer.status_code == 422
    assert [fault["path"] for fault in answer.json()["errors"]] == [f"/query/{name}"]
