"""Check: every registered adapter, asked now whether it could run programs."""

import asyncio
from typing import Any

from app.actions.health_monitoring.check import CheckStatus, Finding, Tools
from app.adapters.guarded import GuardedAdapter
from app.policies.breaker import BreakerState


async def look_at_adapters(tools: Tools) -> Finding:
    """Ask them side by side; none healthy is an error, some not a warning."""
    adapters = tools.adapters
    names = adapters.names()
    answers = await asyncio.gather(*(_asked(adapters.get(name)) for name in names))
    statuses = dict(zip(names, answers, strict=True))
    healthy = [name for name in names if statuses[name]["status"] == CheckStatus.HEALTHY]
    result = {
        "available_adapters": names,
        "adapter_statuses": statuses,
        "healthy_adapters": healthy,
        "healthy_adapter_count": len(healthy),
    }
    return Finding(of_adapters(healthy=len(healthy), total=len(names)), result)


async def _asked(adapter: GuardedAdapter) -> dict[str, Any]:
    health = await adapter.health_check()
    state = adapter.breaker.state
    status, error = CheckStatus.HEALTHY, None
    if not health.healthy:
        status, error = CheckStatus.ERROR, health.error
    elif state is not BreakerState.CLOSED:
        status, error = CheckStatus.WARNING, f"it answers, but its breaker is {state}"
    return {"status": status, "latency_ms": health.latency_ms, "error": error}


def of_adapters(*, healthy: int, total: int) -> CheckStatus:
    """Say what it means that so many adapters of all are healthy."""
    if healthy == total:
        return CheckStatus.HEALTHY
    return CheckStatus.WARNING if healthy else CheckStatus.ERROR
