"""Figures over executions, of one program or of all, computed by the database."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Double,
    Select,
    and_,
    case,
    cast,
    func,
    select,
)
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Execution
from app.models.ids import first_id
from app.models.states import ExecutionStatus

_TABLE = Execution.__table__.c
_ERROR_TYPE = _TABLE.error["type"].astext
_ERROR_MESSAGE = _TABLE.error["message"].astext
_USAGE = ("prompt_tokens", "completion_tokens", "total_tokens", "lm_calls")
_SHARES = (0.5, 0.95, 0.99)
LONGEST_MESSAGE = 500
"""So much is read of an error's message."""

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


@dataclass(frozen=True)
class LastEnded:
    """How the last executions went that have ended; the mean is None where there is none."""

    total: int
    completed: int
    failed: int
    mean_ms: float | None


@dataclass(frozen=True)
class EndedExecution:
    """An execution that has ended; `error` says why it failed, if it did."""

    execution_id: UUID
    program_id: UUID
    finished_at: datetime
    error: str | None


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

    async def of_last_ended(self, count: int) -> LastEnded:
        """Reckon over the last executions of all programs that have ended, up to `count`."""
        last = _last_ended(count, _TABLE.status, _TABLE.duration_ms).subquery()
        query = select(
            func.count(),
            func.count().filter(last.c.status == ExecutionStatus.COMPLETED),
            func.count().filter(last.c.status == ExecutionStatus.FAILED),
            func.avg(last.c.duration_ms),
        ).select_from(last)
        return LastEnded(*(await self._session.execute(query)).one())

    async def list_last_ended(self, count: int) -> Sequence[EndedExecution]:
        """List the last executions of all programs that have ended, the newest end first."""
        said = func.concat(_ERROR_TYPE, ": ", func.left(_ERROR_MESSAGE, LONGEST_MESSAGE))
        error = case((_TABLE.status == ExecutionStatus.FAILED, said))
        query = _last_ended(count, _TABLE.id, _TABLE.program_id, _TABLE.finished_at, error)
        return [EndedExecution(*row) for row in await self._session.execute(query)]

    async def count_ended_lately(self, window_ms: int) -> int:
        """Count the executions of all programs that have ended within the last `window_ms`."""
        window = timedelta(milliseconds=window_ms)
        query = select(func.count()).where(_TABLE.finished_at > func.now() - window)
        return (await self._session.scalars(query)).one()

    async def count_made(self, window_ms: int) -> int:
        """Count the executions of all programs that were made within the last `window_ms`."""
        made = _TABLE.id.between(*await self._ids_within(window_ms))
        return (await self._session.scalars(select(func.count()).where(made))).one()

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


def _last_ended(count: int, *columns: ColumnElement[Any]) -> Select[Any]:
    """Walk down the index of ends; the condition is that index's own."""
    query = select(*columns).where(_TABLE.finished_at.is_not(None))
    return query.order_by(_TABLE.finished_at.desc()).limit(count)


def _sum(name: str) -> ColumnElement[int]:
    """Add up a member of `usage`; executions without usage count as none."""
    amount = cast(_TABLE.usage[name].astext, BigInteger)
    return cast(func.coalesce(func.sum(amount), 0), BigInteger)
