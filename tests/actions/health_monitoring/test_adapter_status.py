"""The check of the adapters."""

from app.actions.health_monitoring.adapter_status import look_at_adapters
from app.actions.health_monitoring.check import CheckStatus, Finding
from app.adapters.base import Adapter
from app.adapters.guarded import GuardedAdapter
from app.adapters.mock import MockAdapter
from app.adapters.setup import AdapterSetup
from app.database import Database
from app.policies.breaker import Breaker
from tests.support.clock import ManualClock
from tests.support.health import health_tools

ILL = {"status": CheckStatus.ERROR, "latency_ms": 0.0, "error": "the model is away"}


def _well() -> MockAdapter:
    return MockAdapter(AdapterSetup("well"))


def _ill() -> MockAdapter:
    return MockAdapter(AdapterSetup("ill", {"health_error": "the model is away"}))


async def _look(database: Database, *adapters: Adapter) -> Finding:
    return await look_at_adapters(health_tools(database, *adapters))


async def test_some_ill_adapters_are_a_warning(database: Database) -> None:
    """Each says what is wrong with it."""
    finding = await _look(database, _well(), _ill())
    assert finding.status is CheckStatus.WARNING
    assert finding.result == {
        "available_adapters": ["ill", "well"],
        "adapter_statuses": {
            "ill": ILL,
            "well": {"status": CheckStatus.HEALTHY, "latency_ms": 0.0, "error": None},
        },
        "healthy_adapters": ["well"],
        "healthy_adapter_count": 1,
    }


async def test_no_healthy_adapter_is_an_error(database: Database) -> None:
    """Nothing can run."""
    finding = await _look(database, _ill())
    assert finding.status is CheckStatus.ERROR
    assert finding.result is not None
    assert finding.result["adapter_statuses"] == {"ill": ILL}


async def test_an_adapter_that_answers_behind_an_open_breaker_is_not_healthy(
    database: Database,
) -> None:
    """It is not called, whatever it says of itself."""
    breaker = Breaker(ManualClock(), most=1)
    with breaker.admit() as passage:
        passage.failed()
    finding = await _look(database, GuardedAdapter(_well(), breaker))
    assert finding.result is not None
    assert finding.result["adapter_statuses"]["well"] == {
        "status": CheckStatus.WARNING,
        "latency_ms": 0.0,
        "error": "it answers, but its breaker is open",
    }
    assert finding.result["healthy_adapters"] == []
