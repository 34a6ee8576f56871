"""Figures over the executions of one program, computed by the database."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Double, and_, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Execution
from app.models.ids import first_id
from app.models.states import ExecutionStatus

_TABLE = Execution.__table__.c
_ERROR_TYPE = _TABLE.error["type"].astext
_USAGE = ("prompt_tokens", "completion_tokens", "total_tokens", "lm_calls")
_SHARES = (0.5, 0.95, 0.99)
_AHEAD_MS = 60_000  # the clock of another replica, and so its ids, may be a little ahead


@dataclass(frozen=True)
class Durations:
    """Milliseconds from start to end, waits included; None where nothing has ended."""

    mean: float | None
    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True)
class ProgramStatistics:
    """How the executions of a program went, and what they cost."""

    by_status: Mapping[ExecutionStatus, int]
    by_error: Mapping[str, int]
    duration_ms: Durations
    usage: Mapping[str, int]


class StatisticsStore:
    """Reads figures within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def of_program(self, program_id: UUID, window_ms: int | None = None) -> ProgramStatistics:
        """Reckon over a program's executions: all, or those made within the last `window_ms`.

        The window is a range of ids, so that only the partitions within it are read.
        """
        wanted = _TABLE.program_id == program_id
        if window_ms is not None:
            wanted = and_(wanted, _TABLE.id.between(*await self._ids_within(window_ms)))
        by_status, by_error = await self._counts(wanted)
        durations, usage = await self._figures(wanted)
        return ProgramStatistics(by_status, by_error, durations, usage)

    async def _ids_within(self, window_ms: int) -> tuple[UUID, UUID]:
        """Give the first and the last id of a window that ends now."""
        now = (await self._session.scalars(select(func.now()))).one()
        now_ms = int(now.timestamp() * 1_000)
        return first_id(max(0, now_ms - window_ms)), first_id(now_ms + _AHEAD_MS)

    async def _counts(
        self, wanted: ColumnElement[bool]
    ) -> tuple[Mapping[ExecutionStatus, int], Mapping[str, int]]:
        query = (
            select(_TABLE.status, _ERROR_TYPE, func.count())
            .where(wanted)
            .group_by(_TABLE.status, _ERROR_TYPE)
        )
        by_status, by_error = Counter[ExecutionStatus](), Counter[str]()
        for status, error_type, count in await self._session.execute(query):
            by_status[ExecutionStatus(status)] += count
            if error_type is not None:
                by_error[error_type] += count
        return {status: by_status[status] for status in ExecutionStatus}, dict(by_error)

    async def _figures(self, wanted: ColumnElement[bool]) -> tuple[Durations, Mapping[str, int]]:
        wanted_shares = cast(list(_SHARES), ARRAY(Double))
        shares = func.percentile_cont(wanted_shares).within_group(_TABLE.duration_ms)
        sums = [_sum(name) for name in _USAGE]
        query = select(func.avg(_TABLE.duration_ms), shares, *sums).where(wanted)
        mean, percentiles, *totals = tuple((await self._session.execute(query)).one())
        durations = Durations(mean, *(percentiles or [None] * len(_SHARES)))
        return durations, dict(zip(_USAGE, totals, strict=True))


def _sum(name: str) -> ColumnElement[int]:
    """Add up a member of `usage`; executions without usage count as none."""
    amount = cast(_TABLE.usage[name].astext, BigInteger)
    return cast(func.coalesce(func.sum(amount), 0), BigInteger)
