"""Items that ran when their process died: which of them is to blame, as their records tell it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from app.actions.program_execution.ending import Ending
from app.adapters.errors import AdapterError, ErrorType
from app.models.ids import place_of
from app.stores.batch_lanes import Item
from app.stores.waiting_lanes import TakenLane

MOST_CRASHES = 3
"""An item that ran alone in as many processes that died is not run again."""

MOST_POISONOUS = 10
"""A batch with as many such items stops."""

_POISONOUS = AdapterError(
    ErrorType.WORKER_CRASHED, f"{MOST_CRASHES} processes died while they ran it, and nothing else."
)
TOO_POISONOUS = AdapterError(
    ErrorType.WORKER_CRASHED, f"{MOST_POISONOUS} items have killed the processes that ran them."
)


def suspects_of(taken: TakenLane, adapter: str) -> Sequence[Item]:
    """Give what a dead holder left, each item with the attempt that was lost with it.

    Only an item that ran alone is to blame, which its attempt says.
    """
    return [
        replace(item, attempts=[*item.attempts, _lost(item, taken, adapter)]) for item in taken.left
    ]


def least_suspect_first(left: Sequence[Item]) -> Sequence[Item]:
    """Put those first that fewest processes died with: chance shall not hit one of them thrice."""
    return sorted((item for item in left if is_suspect(item)), key=lambda item: len(item.attempts))


def is_suspect(item: Item) -> bool:
    """Tell whether a process has died while it ran an item."""
    return bool(item.attempts)


def is_poisonous(suspect: Item) -> bool:
    """Tell whether a suspect has killed as many processes as it may."""
    alone = [attempt for attempt in suspect.attempts if _context(attempt).get("alone")]
    return len(alone) >= MOST_CRASHES


def has_died_again(suspect: Item) -> bool:
    """Tell whether a suspect was one before: it is to run where nothing else does."""
    return len(suspect.attempts) > 1


def poisonous_ending() -> Ending:
    """Give the end of an item that is not run again."""
    return Ending.failed(_POISONOUS)


def _lost(item: Item, taken: TakenLane, adapter: str) -> dict[str, Any]:
    was_alone = taken.alone == place_of(item.id)
    error = AdapterError(
        ErrorType.WORKER_CRASHED,
        "The process that ran it has died.",
        context={"alone": was_alone},
    )
    return {
        "adapter": adapter,
        "started_at": item.started_at.isoformat().replace("+00:00", "Z"),
        "duration_ms": item.taken_ms,
        "error": error.as_document(),
    }


def _context(attempt: Any) -> dict[str, Any]:
    error = attempt["error"] or {}
    return dict(error.get("context") or {})
