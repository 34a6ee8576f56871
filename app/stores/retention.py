"""When what has ended has expired, in SQL: by its status, its program's days or the settings'."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.states import EXECUTION_MOVES
from app.settings import RetentionSettings

_ENDS = [status for status, moves in EXECUTION_MOVES.items() if not moves]

_DAYS = f"""coalesce(
    (SELECT (p.retention->>({{status}} || '_days'))::int FROM programs p WHERE p.id = {{program}}),
    CASE {{status}} {" ".join(f"WHEN '{end}' THEN CAST(:{end}_days AS int)" for end in _ENDS)} END
)"""  # noqa: S608 - our own states

_SHORTEST = text(f"""
SELECT now() - make_interval(days => min(nullif(days, 0))) FROM (
    VALUES {", ".join(f"(CAST(:{end}_days AS int))" for end in _ENDS)}
    UNION ALL
    SELECT own.value::int FROM programs p CROSS JOIN json_each_text(p.retention) AS own
) AS given (days)
""")  # noqa: S608 - our own states


def _has_expired(status: str, row: str) -> str:
    """Say that a row need not be kept any more, as one of this status; else it is null or false.

    The columns are looked at in this order: what ended lately is not looked up.
    """
    days = _DAYS.format(status=status, program=f"{row}.program_id")
    is_old = f"{row}.finished_at < :shortest"
    return f"({is_old} AND {row}.finished_at < now() - make_interval(days => nullif({days}, 0)))"


EXPIRED_EXECUTION = f"(e.batch_id IS NULL AND {_has_expired('e.status', 'e')})"
"""Says of an execution `e` that it has expired; items go with their batches."""

EXPIRED_BATCH = f"""(b.finished_at < :shortest AND NOT EXISTS (
    SELECT FROM (
        SELECT b.status
        UNION ALL SELECT 'completed' WHERE EXISTS (
            SELECT FROM batch_lanes l WHERE l.batch_id = b.id AND l.succeeded > 0
        )
        UNION ALL SELECT 'failed' WHERE b.invalid_items > 0 OR EXISTS (
            SELECT FROM batch_lanes l WHERE l.batch_id = b.id AND l.failed > 0
        )
        UNION ALL SELECT 'cancelled' WHERE b.cancelled_items > 0 OR EXISTS (
            SELECT FROM batch_lanes l WHERE l.batch_id = b.id AND l.cancelled > 0
        )
    ) AS held (status)
    WHERE {_has_expired("held.status", "b")} IS NOT TRUE
))"""  # noqa: S608 - our own text
"""Says of a batch `b` that it has expired: as what it is, and as everything that it holds."""


@dataclass(frozen=True)
class Expiry:
    """How long what has ended is kept; nothing that ended after `shortest` has expired."""

    days: RetentionSettings
    shortest: datetime

    @property
    def bound(self) -> Mapping[str, Any]:
        """The values of the conditions."""
        return {**self.days.model_dump(), "shortest": self.shortest}


class RetentionStore:
    """Reads, within one transaction, how long what has ended is kept."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find_expiry(self, days: RetentionSettings) -> Expiry | None:
        """Find the expiry by the settings and the programs; None where all is kept for ever."""
        shortest = (await self._session.scalars(_SHORTEST, days.model_dump())).one()
        return None if shortest is None else Expiry(days, shortest)
