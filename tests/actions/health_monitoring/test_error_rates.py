"""The check of what goes wrong."""

from typing import Any

from app.actions.health_monitoring.check import CheckStatus
from app.actions.health_monitoring.error_rates import look_at_errors
from app.database import Database
from app.models import Execution
from app.models.states import ExecutionStatus
from tests.stores.rows import an_ending, ended
from tests.support.health import health_tools


async def _failed(database: Database, error: dict[str, Any] | None) -> Execution:
    """Fail an execution, in a transaction of its own, so that each ends later than the last."""
    async with database.transaction() as tx:
        return await ended(tx, an_ending(ExecutionStatus.FAILED, error=error))


async def test_errors_are_counted_folded_and_told(database: Database) -> None:
    """The newest five one by one; what was cancelled is no error."""
    cancelled = {"type": "cancelled", "message": "The client went away."}
    async with database.transaction() as tx:
        for _ in range(3):
            await ended(tx, an_ending())
        await ended(tx, an_ending(ExecutionStatus.CANCELLED, error=cancelled))
    failures = [
        await _failed(database, {"type": "timeout", "message": f"No answer within {number} ms."})
        for number in range(1, 6)
    ]
    failures.append(await _failed(database, {"type": "unexpected", "message": "x" * 600}))
    finding = await look_at_errors(health_tools(database))
    assert finding.status is CheckStatus.HEALTHY
    assert finding.result is not None
    recent, longest = finding.result["recent_errors"], f"unexpected: {'x' * 500}"
    assert {**finding.result, "recent_errors": None} == {
        "total_errors": 6,
        "error_rate": 0.6,
        "error_patterns": [
            {
                "pattern": "timeout: No answer within <number> ms.",
                "count": 5,
                "example": "timeout: No answer within 5 ms.",
            },
            {"pattern": longest, "count": 1, "example": longest},
        ],
        "recent_errors": None,
    }
    assert [one["execution_id"] for one in recent] == [one.id for one in failures[:0:-1]]
    assert recent[1] == {
        "timestamp": failures[4].finished_at,
        "error": "timeout: No answer within 5 ms.",
        "program_id": failures[4].program_id,
        "execution_id": failures[4].id,
    }


async def test_no_history_has_no_rate(database: Database) -> None:
    """And no errors."""
    finding = await look_at_errors(health_tools(database))
    assert finding.result == {
        "total_errors": 0,
        "error_rate": None,
        "error_patterns": [],
        "recent_errors": [],
    }
