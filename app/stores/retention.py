"""When what has ended has expired, in SQL: by its status, its program's days or the settings'."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.states import EXECUTION_MOVES, ExecutionStatus
from app.settings import RetentionSettings

_ENDS = [status for status, moves in EXECUTION_MOVES.items() if not moves]

_SETTINGS = ", ".join(
    f"now() - make_interval(days => nullif(CAST(:{end}_days AS int), 0)) AS {end}" for end in _ENDS
)
# The settings' times are reckoned once: only rows of programs with days of their own look them up.
_FIND = text(f"""
WITH own AS (
    SELECT p.id, day.value::int AS days
    FROM programs p CROSS JOIN json_each_text(p.retention) AS day
    WHERE p.retention IS NOT NULL
)
SELECT {_SETTINGS},
    now() - make_interval(days => (SELECT min(nullif(days, 0)) FROM own)) AS own,
    ARRAY(SELECT DISTINCT id FROM own) AS programs
""")  # noqa: S608 - our own states

_BEFORE = " ".join(f"WHEN '{end}' THEN CAST(:{end}_before AS timestamptz)" for end in _ENDS)
_OWN_DAYS = """(
    SELECT (p.retention->>({status} || '_days'))::int FROM programs p WHERE p.id = {row}.program_id
)"""


def _has_expired(status: str, row: str) -> str:
    """Say that a row need not be kept any more, as one of this status; else it is null or false."""
    before = f"CASE {status} {_BEFORE} END"
    days = _OWN_DAYS.format(status=status, row=row)
    return f"""({row}.finished_at < CASE
        WHEN {row}.program_id = ANY(CAST(:own_programs AS uuid[])) AND {days} IS NOT NULL
        THEN now() - make_interval(days => nullif({days}, 0)) ELSE {before}
    END)"""


EXPIRED_EXECUTION = (
    f"(e.batch_id IS NULL AND e.finished_at < :shortest AND {_has_expired('e.status', 'e')})"
)
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
    """When what has expired ended at the latest: of any kind, and by the settings, by status.

    Programs of `own_programs` have days of their own. None is never.
    """

    shortest: datetime
    before: Mapping[ExecutionStatus, datetime | None]
    own_programs: Sequence[UUID]

    @property
    def bound(self) -> Mapping[str, Any]:
        """The values of the conditions."""
        before = {f"{status}_before": moment for status, moment in self.before.items()}
        return {**before, "shortest": self.shortest, "own_programs": self.own_programs}


class RetentionStore:
    """Reads, within one transaction, how long what has ended is kept."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find_expiry(self, days: RetentionSettings) -> Expiry | None:
        """Find the expiry by the settings and the programs; None where all is kept for ever."""
        found = (await self._session.execute(_FIND, days.model_dump())).mappings().one()
        before = {status: found[status] for status in _ENDS}
        moments = [moment for moment in (*before.values(), found["own"]) if moment is not None]
        return Expiry(max(moments), before, found["programs"]) if moments else None
