"""The check of how the last executions went."""

import pytest

from app.actions.health_monitoring.check import CheckStatus
from app.actions.health_monitoring.performance_metrics import look_at_performance
from app.database import Database
from app.models.states import ExecutionStatus
from tests.stores.rows import an_ending, an_execution, ended
from tests.support.health import health_tools


async def test_the_last_hundred_are_reckoned_over(database: Database) -> None:
    """What runs does not count, and what was cancelled is neither good nor bad."""
    async with database.transaction() as tx:
        await an_execution(tx)
        for number in range(6):
            await ended(tx, an_ending(duration_ms=float(number)))
        await ended(tx, an_ending(ExecutionStatus.FAILED, duration_ms=9.0))
        await ended(tx, an_ending(ExecutionStatus.CANCELLED, duration_ms=None))
    finding = await look_at_performance(health_tools(database))
    assert finding.status is CheckStatus.HEALTHY
    assert finding.result == {
        "total_executions": 8,
        "completed_executions": 6,
        "failed_executions": 1,
        "avg_duration_ms": pytest.approx(24 / 7),
        "success_rate": 0.75,
        "error_rate": 0.125,
        "execution_rate_per_hour": 8,
    }


async def test_no_history_has_no_rates(database: Database) -> None:
    """Nothing is divided by nothing."""
    finding = await look_at_performance(health_tools(database))
    assert finding.result == {
        "total_executions": 0,
        "completed_executions": 0,
        "failed_executions": 0,
        "avg_duration_ms": None,
        "success_rate": None,
        "error_rate": None,
        "execution_rate_per_hour": 0,
    }
