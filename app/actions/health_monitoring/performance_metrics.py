"""Check: how the last executions went, reckoned by the database."""

from app.actions.health_monitoring.check import CheckStatus, Finding, Tools

LAST = 100
HOUR_MS = 3_600_000


async def look_at_performance(tools: Tools) -> Finding:
    """Reckon over the last hundred that have ended; figures alone, they make nothing ill."""
    async with tools.database.transaction() as tx:
        last = await tx.statistics.of_last_ended(LAST)
        within_an_hour = await tx.statistics.count_ended_lately(HOUR_MS)
    result = {
        "total_executions": last.total,
        "completed_executions": last.completed,
        "failed_executions": last.failed,
        "avg_duration_ms": last.mean_ms,
        "success_rate": last.completed / last.total if last.total else None,
        "error_rate": last.failed / last.total if last.total else None,
        "execution_rate_per_hour": within_an_hour,
    }
    return Finding(CheckStatus.HEALTHY, result)
