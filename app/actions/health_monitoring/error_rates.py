"""Check: how many of the last executions failed, and by which errors."""

from app.actions.health_monitoring.check import CheckStatus, Finding, Tools
from app.actions.health_monitoring.error_patterns import count_patterns
from app.stores.statistics import EndedExecution

LAST = 500
MOST_RECENT = 5


async def look_at_errors(tools: Tools) -> Finding:
    """Look at the last five hundred that have ended; a failing program does not make us ill."""
    async with tools.database.transaction() as tx:
        ended = await tx.statistics.list_last_ended(LAST)
    failed = [execution for execution in ended if execution.error is not None]
    result = {
        "total_errors": len(failed),
        "error_rate": len(failed) / len(ended) if ended else None,
        "error_patterns": count_patterns(str(execution.error) for execution in failed),
        "recent_errors": [_told(execution) for execution in failed[:MOST_RECENT]],
    }
    return Finding(CheckStatus.HEALTHY, result)


def _told(execution: EndedExecution) -> dict[str, object]:
    return {
        "timestamp": execution.finished_at,
        "error": execution.error,
        "program_id": execution.program_id,
        "execution_id": execution.execution_id,
    }
