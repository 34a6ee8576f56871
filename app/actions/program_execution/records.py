"""The record of an execution: begun before the adapter is called, ended whatever comes."""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any
from uuid import UUID

from app.actions.program_execution.attempts import Attempts
from app.actions.program_execution.ending import Ending
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.usage import Usage
from app.database import Database
from app.errors import DatabaseUnavailableError
from app.models import Execution
from app.models.ids import Ids
from app.policies.shield import Shield

logger = logging.getLogger(__name__)

_LEFT = AdapterError(ErrorType.CANCELLED, "The execution was cancelled before it began.")
_UNFIT = AdapterError(ErrorType.UNEXPECTED, "The adapter's answer cannot be stored.")


class ExecutionRecords:
    """Writes records; an end that has begun to be written is written."""

    def __init__(
        self, database: Database, ids: Ids, shield: Shield, *, keeps_traces: bool = False
    ) -> None:
        self._keeps_traces = keeps_traces
        self._database = database
        self._ids = ids
        self._shield = shield
        self._runs: set[asyncio.Task[Any] | None] = set()

    @contextmanager
    def run(self) -> Iterator[None]:
        """Know of the current task's run while it lasts, so that `close` finds it."""
        task = asyncio.current_task()
        self._runs.add(task)
        try:
            yield
        finally:
            self._runs.discard(task)

    async def close(self) -> None:
        """Cancel the runs that are under way, and return when their records have ended.

        A server that stops cancels its requests, but does not await them.
        """
        runs = {task for task in self._runs if task is not None}
        for task in runs:
            task.cancel()
        await asyncio.gather(*runs, return_exceptions=True)

    def new_trace(self) -> list[Mapping[str, Any]] | None:
        """Give a list for the LM calls of a run; None where they are not to be kept."""
        return [] if self._keeps_traces else None

    async def begin(self, values: Mapping[str, Any]) -> UUID:
        """Record a running execution and give its id; cancelled meanwhile, it ends at once."""
        execution_id = self._ids.new()
        try:
            await self._shield.uninterrupted(self._add({"id": execution_id, **values}))
        except asyncio.CancelledError:
            left = _values(Ending.failed(_LEFT), [], Usage(), 0.0)
            await self._shield.uninterrupted(self._finish(execution_id, left))
            raise
        return execution_id

    async def end(
        self, execution_id: UUID, ending: Ending, attempts: Attempts, duration_ms: float
    ) -> Execution:
        """End a record unless somebody else has; give it as it stands then.

        An answer that the database cannot hold is a bug of the adapter: it climbs, and the record
        ends without the answer.
        """
        values = _values(ending, attempts.log, attempts.usage, duration_ms)
        values["trace"] = attempts.trace
        return await self._shield.uninterrupted(self._end(execution_id, values))

    async def _end(self, execution_id: UUID, values: Mapping[str, Any]) -> Execution:
        try:
            ended = await self._finish(execution_id, values)
        except DatabaseUnavailableError:
            raise
        except Exception:
            unfit = _values(Ending.failed(_UNFIT), [], Usage(), values["duration_ms"])
            await self._finish(execution_id, {**unfit, "usage": values["usage"]})
            raise
        return ended or await self._get(execution_id)

    async def _add(self, values: Mapping[str, Any]) -> None:
        async with self._database.transaction() as tx:
            await tx.executions.add_running(values)

    async def _get(self, execution_id: UUID) -> Execution:
        async with self._database.transaction() as tx:
            return await tx.executions.get(execution_id)

    async def _finish(self, execution_id: UUID, values: Mapping[str, Any]) -> Execution | None:
        """End a record and count it; None where there is none, or it had ended."""
        async with self._database.transaction() as tx:
            execution = await tx.executions.finish(execution_id, values)
            if execution is None:
                return None
            await tx.programs.count_execution(execution.program_id)
        logger.info(
            "execution %s of %s ended: %s", execution.id, execution.program_name, execution.outcome
        )
        return execution


def _values(
    ending: Ending, log: Sequence[Mapping[str, Any]], usage: Usage, duration_ms: float
) -> dict[str, Any]:
    return {**vars(ending), "attempts": log, "usage": asdict(usage), "duration_ms": duration_ms}
