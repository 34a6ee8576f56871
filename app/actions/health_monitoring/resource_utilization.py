"""Check: what this process uses now: processor, event loop, pool, threads, and its garbage."""

import gc
import threading

from app.actions.health_monitoring.check import CheckStatus, Finding, Tools


async def look_at_utilization(tools: Tools) -> Finding:
    """Tell the figures; what is too much of them depends on the machine."""
    pool = tools.pool()
    generations = gc.get_stats()
    result = {
        "cpu_percent": tools.vitals.processor.percent,
        "event_loop_lag_ms": tools.vitals.loop_lag.worst_s * 1_000,
        "pool_use": pool["checked_out"] / sum(pool.values()),
        "gc": {
            "collections": [generation["collections"] for generation in generations],
            "collected": sum(generation["collected"] for generation in generations),
            "uncollectable": sum(generation["uncollectable"] for generation in generations),
            "objects_waiting": list(gc.get_count()),
        },
        "threads": threading.active_count(),
    }
    return Finding(CheckStatus.HEALTHY, result)
