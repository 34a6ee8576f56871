"""How executions that their process will not end come back into the queue."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.adapters.errors import AdapterError, ErrorType
from app.models.states import ExecutionStatus, Outcome
from app.stores.pending_executions import Lost, Returning
from app.stores.transaction import Transaction

MOST_CRASHES = 3
"""An execution that so many processes died of is not run again."""

SUSPECT_FROM = 2
"""After so many it is run alone, so that the next tells whether it was the one."""

_POISON = AdapterError(
    ErrorType.WORKER_CRASHED,
    f"{MOST_CRASHES} processes that ran it have died, the last of it alone.",
)


async def give_back(tx: Transaction, lost: Sequence[Lost], why: AdapterError) -> Sequence[Lost]:
    """Put executions back into the queue, each with its lost attempt; their records are locked.

    Those that are poison end as failed instead, and are given: the caller counts and tells them.
    """
    returning, poison = list[Returning](), list[Lost]()
    for one in lost:
        attempts = [*one.attempts, *_lost_attempt(one, why)]
        crashes = sum(_is_crash(attempt) for attempt in attempts)
        if crashes < MOST_CRASHES:
            returning.append(Returning(one.id, attempts, crashes >= SUSPECT_FROM))
            continue
        poison.append(one)
        ending = {
            "status": ExecutionStatus.FAILED,
            "outcome": Outcome.EXECUTION_ERROR,
            "error": _POISON.as_document(),
            "attempts": attempts,
            "duration_ms": one.taken_ms,
        }
        await tx.executions.finish(one.id, ending)
    await tx.pending_executions.give_back(returning)
    return poison


def _lost_attempt(one: Lost, why: AdapterError) -> Sequence[Mapping[str, Any]]:
    """Describe what it had started, if anything."""
    if one.started_at is None:
        return []
    return [
        {
            "adapter": one.adapter,
            "started_at": one.started_at.isoformat().replace("+00:00", "Z"),
            "duration_ms": one.taken_ms,
            "error": why.as_document(),
        }
    ]


def _is_crash(attempt: Mapping[str, Any]) -> bool:
    return bool(attempt["error"]["type"] == ErrorType.WORKER_CRASHED)
