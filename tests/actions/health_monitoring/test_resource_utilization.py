"""The check of what this process uses."""

from app.actions.health_monitoring.check import CheckStatus
from app.actions.health_monitoring.resource_utilization import look_at_utilization
from app.database import Database
from tests.support.health import health_tools


async def test_the_figures_are_told(database: Database) -> None:
    """Each in the unit of the contract."""
    pool = {"checked_out": 3, "idle": 1, "unopened": 6}
    finding = await look_at_utilization(health_tools(database, pool=lambda: pool))
    assert finding.status is CheckStatus.HEALTHY
    assert finding.result is not None
    garbage = finding.result["gc"]
    assert len(garbage["collections"]) == len(garbage["objects_waiting"]) == 3
    assert finding.result["cpu_percent"] >= 0
    assert finding.result["threads"] >= 1
    assert (finding.result["event_loop_lag_ms"], finding.result["pool_use"]) == (0.0, 0.3)
