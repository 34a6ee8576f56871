"""The record of an execution: begun before the adapter is called, ended whatever comes."""

import logging
from collections.abc import Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from app.actions.program_execution.attempts import Attempts
from app.actions.program_execution.ending import Ending
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.usage import Usage
from app.database import Database
from app.errors import DatabaseUnavailableError
from app.models import Execution
from app.models.idempotency_keys import Claim
from app.models.ids import Ids
from app.models.states import ExecutionStatus
from app.policies.shield import Shield
from app.stores.recorder import Recorder
from app.stores.recorder.writes import End
from app.telemetry import spending
from app.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

LAST_WORD_S = 1.0
"""How long the end may take to be written where the deadline has passed."""

LONGEST_OUTAGE_S = 86_400.0
"""How long the end of a background execution waits for the database."""

_LEFT = AdapterError(ErrorType.CANCELLED, "The execution was cancelled before it began.")
_UNFIT = AdapterError(ErrorType.UNEXPECTED, "The adapter's answer cannot be stored.")


@dataclass(frozen=True)
class RecordRules:
    """What the operator says of records.

    `patience_s` is how long a beginning may take before its caller is told to come again.
    """

    patience_s: float
    keeps_traces: bool = False


class ExecutionRecords:
    """Writes records through the recorder; an end that has begun to be written is written."""

    def __init__(
        self,
        database: Database,
        recorder: Recorder,
        ids: Ids,
        shield: Shield,
        metrics: Metrics,
        rules: RecordRules,
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._ids = ids
        self._left = _values(Ending.failed(_LEFT), [], Usage(), 0.0)
        self._shield = shield
        self._metrics = metrics
        self._rules = rules

    def new_trace(self) -> list[Mapping[str, Any]] | None:
        """Give a list for the LM calls of a run; None where they are not to be kept."""
        return [] if self._rules.keeps_traces else None

    async def begin(self, values: Mapping[str, Any], claim: Claim | None = None) -> Execution:
        """Record a running execution; its caller gone meanwhile, the record ends by itself.

        KeyChangedError where another request holds the idempotency key that it claims.
        """
        row = {"id": self._ids.new(), **values}
        execution = Execution(**_attributes(row), status=ExecutionStatus.RUNNING)
        left = self._end_of(execution, {**self._left, "owner_id": execution.owner_id})
        with spending("database"):
            at = await self._recorder.begin(row, left, self._rules.patience_s, claim)
        execution.created_at = execution.started_at = at
        return execution

    async def accept(self, values: Mapping[str, Any], claim: Claim | None = None) -> Execution:
        """Record a pending execution, with its wake-up; as `begin` for the rest."""
        row = {"id": self._ids.new(), **values}
        execution = Execution(**_attributes(row), status=ExecutionStatus.PENDING, attempts=[])
        left = self._end_of(execution, self._left)
        with spending("database"):
            execution.created_at = await self._recorder.accept(
                row, left, self._rules.patience_s, claim
            )
        return execution

    async def end(
        self, execution: Execution, ending: Ending, attempts: Attempts, duration_ms: float
    ) -> Execution:
        """End a record unless somebody else has; give it as it stands then.

        An answer that the database cannot hold is a bug of the adapter: it climbs, and the record
        ends without the answer. DatabaseUnavailableError where the deadline comes first: the end
        is kept then, and written when the database is back.
        """
        log = [*(execution.attempts or ()), *attempts.log]  # those that were lost come first
        values = _values(ending, log, attempts.usage, duration_ms)
        values |= {"trace": attempts.trace, "owner_id": execution.owner_id}
        within_s = attempts.deadline.remaining_s + LAST_WORD_S
        if execution.is_background:  # nobody waits, and what was paid for is not given up
            within_s = LONGEST_OUTAGE_S
        with spending("database"):
            return await self._shield.uninterrupted(self._end(execution, values, within_s))

    async def refuse(self, execution: Execution, error: AdapterError) -> None:
        """End a record whose program cannot be run any more; raises as `end`."""
        values = _values(Ending.failed(error), execution.attempts, Usage(), 0.0)
        values |= {"owner_id": execution.owner_id}
        await self._shield.uninterrupted(self._end(execution, values, self._rules.patience_s))

    async def _end(
        self, execution: Execution, values: Mapping[str, Any], within_s: float
    ) -> Execution:
        try:
            at = await self._recorder.finish(
                execution.id, self._end_of(execution, values), within_s
            )
        except DatabaseUnavailableError as error:
            error.members["execution_id"] = str(execution.id)
            raise
        except Exception:
            unfit = _values(Ending.failed(_UNFIT), [], Usage(), values["duration_ms"])
            unfit |= {"usage": values["usage"], "owner_id": execution.owner_id}
            await self._recorder.finish(execution.id, self._end_of(execution, unfit), within_s)
            raise
        if at is None:  # somebody else ended it, or the answer to its writing was lost
            found = await self.get(execution.id)
            if found.owner_id == execution.owner_id:  # else it is run by another process
                self._tell(found, {**values, "outcome": found.outcome, "adapter": None})
            return found
        for name, value in values.items():
            setattr(execution, name, value)
        execution.finished_at = at
        return execution

    async def get(self, execution_id: UUID) -> Execution:
        """Read a record as it stands."""
        async with self._database.transaction() as tx:
            return await tx.executions.get(execution_id)

    def _end_of(self, execution: Execution, values: Mapping[str, Any]) -> End:
        """Make an end that is told when it is written, in the log under the request's names."""
        return End(values, partial(copy_context().run, self._tell, execution, values))

    def _tell(self, execution: Execution, values: Mapping[str, Any]) -> None:
        """Log and count an end, once it has been recorded."""
        logger.info(
            "execution %s of %s ended: %s", execution.id, execution.program_name, values["outcome"]
        )
        attempts = values["attempts"]
        last = attempts[-1]["adapter"] if attempts else execution.adapter_type
        self._metrics.execution_ended(
            execution.program_name,
            values["adapter"] or last,
            values["outcome"],
            values["duration_ms"] / 1_000,
            attempts,
        )


def has_begun(execution: Execution) -> bool:
    """Tell a record whose caller had gone before it was begun from all others."""
    return execution.error != _LEFT.as_document()


def _attributes(row: Mapping[str, Any]) -> dict[str, Any]:
    """Give columns by the names that their attributes have."""
    return {"metadata_" if name == "metadata" else name: row[name] for name in row}


def _values(
    ending: Ending, log: Sequence[Mapping[str, Any]], usage: Usage, duration_ms: float
) -> dict[str, Any]:
    return {**vars(ending), "attempts": log, "usage": dict(vars(usage)), "duration_ms": duration_ms}
