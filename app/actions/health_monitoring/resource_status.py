"""Check: how many signatures, programs and executions there are, counted by the database."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from app.actions.health_monitoring.check import CheckStatus, Finding, Tools
from app.errors import DspatchError
from app.models.states import ProgramStatus
from app.stores.transaction import Transaction

RECENT_MS = 3_600_000
"""Recent executions are those made within the last hour."""

Count = Callable[[Transaction], Awaitable[Mapping[str, int]]]


async def look_at_resources(tools: Tools) -> Finding:
    """Count each kind in a transaction of its own, so that one may fail alone."""
    checks: dict[str, Any] = {}
    failed = []
    for name, count in RESOURCES.items():
        try:
            async with tools.database.transaction() as tx:
                checks[name] = await count(tx)
        except DspatchError:
            failed.append(name)
    result = {"resource_checks": checks, "failed_resources": failed}
    if failed:
        return Finding(CheckStatus.ERROR, result, f"could not be counted: {', '.join(failed)}")
    return Finding(CheckStatus.HEALTHY, result)


async def _signatures(tx: Transaction) -> Mapping[str, int]:
    return {"count": await tx.signatures.count()}


async def _programs(tx: Transaction) -> Mapping[str, int]:
    by_status = await tx.programs.count_by_status()
    return {"total_count": sum(by_status.values()), "ready_count": by_status[ProgramStatus.READY]}


async def _executions(tx: Transaction) -> Mapping[str, int]:
    return {
        "recent_count": await tx.statistics.count_made(RECENT_MS),
        "pending": await tx.pending_executions.count() + await tx.batches.count_pending_items(),
        "running": await tx.executions.count_running(),
    }


RESOURCES: Mapping[str, Count] = {
    "signatures": _signatures,
    "programs": _programs,
    "executions": _executions,
}
