"""Checks side by side, of which none can harm another."""

import asyncio
import logging

import pytest

from app.actions.health_monitoring import CHECKS, HealthMonitoring, HealthMonitoringInput
from app.actions.health_monitoring.check import (
    Check,
    CheckLevel,
    CheckStatus,
    Finding,
    Look,
    Tools,
    worst,
)
from app.database import Database
from app.errors import DatabaseUnavailableError
from app.telemetry.metrics import Metrics
from tests.support.adapters import ScriptedAdapter
from tests.support.clock import ManualClock
from tests.support.health import health_tools

STANDARD = ["system_status", "adapter_status", "resource_status", "database_connectivity"]


def saying(status: CheckStatus) -> Look:
    """Make a check that finds what it is told."""

    async def look(tools: Tools) -> Finding:
        assert isinstance(tools.clock, ManualClock)
        tools.clock.advance(0.25)
        return Finding(status, {"found": True})

    return look


def raising(error: Exception) -> Look:
    """Make a check that fails."""

    async def look(_: Tools) -> Finding:
        raise error

    return look


async def hanging(_: Tools) -> Finding:
    """Never say anything."""
    await asyncio.Event().wait()
    raise AssertionError


async def test_the_standard_checks_find_a_good_process_healthy(database: Database) -> None:
    """All four of them, by the names of the contract; nothing else is told unasked."""
    monitor = HealthMonitoring(health_tools(database, ScriptedAdapter()), Metrics())
    report = await monitor(HealthMonitoringInput())
    assert list(report.checks) == STANDARD
    assert {name: check.error for name, check in report.checks.items()} == dict.fromkeys(STANDARD)
    assert report.overall_status is CheckStatus.HEALTHY
    assert vars(report.summary) == {
        "total_checks": 4,
        "healthy_checks": 4,
        "warning_checks": 0,
        "error_checks": 0,
        "health_percentage": 100.0,
    }
    assert report.detailed_metrics is None


async def test_a_check_that_fails_or_hangs_is_an_error_of_its_own(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """The others find what they find; what clients may not read stands in the log alone."""
    checks = (
        Check("well", saying(CheckStatus.HEALTHY)),
        Check("away", raising(DatabaseUnavailableError("The database does not answer."))),
        Check("broken", raising(ValueError("the secret is 123"))),
        Check("hanging", hanging, limit_s=0.01),
    )
    report = await HealthMonitoring(health_tools(database), Metrics(), checks)(
        HealthMonitoringInput()
    )
    assert report.overall_status is CheckStatus.ERROR
    well, *others = report.checks.values()
    assert (well.status, well.result, well.error) == (CheckStatus.HEALTHY, {"found": True}, None)
    assert [(check.status, check.result, check.error) for check in others] == [
        (CheckStatus.ERROR, None, "The database does not answer."),
        (CheckStatus.ERROR, None, "it failed (ValueError)"),
        (CheckStatus.ERROR, None, "it took longer than 0.01 s"),
    ]
    logged = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.getMessage() for record in logged] == ["the health check broken failed"]
    assert report.summary.health_percentage == 25.0


async def test_a_check_tells_when_it_began_and_how_long_it_took(database: Database) -> None:
    """By the clock of the process."""
    tools = health_tools(database)
    checks = (Check("first", saying(CheckStatus.HEALTHY)),)
    report = await HealthMonitoring(tools, Metrics(), checks)(HealthMonitoringInput())
    assert report.checks["first"].timestamp == report.timestamp
    assert report.checks["first"].duration_ms == 250


async def test_checks_run_side_by_side(database: Database) -> None:
    """Each sees the other begin before it ends."""
    begun = [asyncio.Event(), asyncio.Event()]

    async def look(number: int) -> Finding:
        begun[number].set()
        await begun[1 - number].wait()
        return Finding(CheckStatus.HEALTHY, {})

    checks = (Check("one", lambda _: look(0)), Check("two", lambda _: look(1)))
    report = await HealthMonitoring(health_tools(database), Metrics(), checks)(
        HealthMonitoringInput()
    )
    assert report.overall_status is CheckStatus.HEALTHY


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([], CheckStatus.HEALTHY),
        ([CheckStatus.HEALTHY, CheckStatus.WARNING], CheckStatus.WARNING),
        ([CheckStatus.ERROR, CheckStatus.WARNING, CheckStatus.HEALTHY], CheckStatus.ERROR),
    ],
)
def test_the_whole_is_as_its_worst_part(statuses: list[CheckStatus], expected: CheckStatus) -> None:
    """In whatever order they come."""
    assert worst(statuses) is expected


async def test_metrics_are_told_where_they_are_asked_for(database: Database) -> None:
    """By name, those of this process."""
    metrics = Metrics()
    metrics.item_ended("success")
    monitor = HealthMonitoring(health_tools(database), metrics, CHECKS[3:])
    report = await monitor(HealthMonitoringInput(include_metrics=True))
    assert report.detailed_metrics == {
        "dspatch_batch_items_total": [{"labels": {"outcome": "success"}, "value": 1.0}]
    }


def test_each_check_has_a_name_of_its_own() -> None:
    """And the standard ones come first."""
    names = [check.name for check in CHECKS]
    assert len(names) == len(set(names))
    standard = [check.name for check in CHECKS if check.level is CheckLevel.STANDARD]
    assert standard == names[: len(standard)] == STANDARD
