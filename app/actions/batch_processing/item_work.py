"""Run one item of a batch to its end, as its record will tell it."""

import logging
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Any

from app.actions.batch_processing.ledger import Row
from app.actions.program_catalogue import RunnableProgram
from app.actions.program_execution.attempts import Attempts, Surroundings
from app.actions.program_execution.ending import Ending
from app.actions.program_execution.options import ExecutionOptions
from app.adapters.base import Program, ProgramCall
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.guarded import GuardedAdapter
from app.adapters.usage import Usage
from app.policies.clock import Clock
from app.policies.limiter import Priority
from app.stores.batch_lanes import Item
from app.telemetry import current_execution_id
from app.telemetry.tracing import end_execution, execution_span

logger = logging.getLogger(__name__)

CANCELLED = AdapterError(ErrorType.CANCELLED, "The batch was cancelled.")
NEVER_RAN = AdapterError(ErrorType.CANCELLED, "The batch stopped before the item ran.")

_BUG = AdapterError(ErrorType.UNEXPECTED, "Dspatch failed in the middle of the execution.")
_UNFIT = AdapterError(ErrorType.UNEXPECTED, "The adapter's answer cannot be stored.")


@dataclass(frozen=True)
class ItemWork:
    """What it takes to run the items of one batch."""

    runnable: RunnableProgram
    adapter: GuardedAdapter | None
    options: ExecutionOptions
    clock: Clock
    random: Random
    keeps_traces: bool = False

    @cached_property
    def program(self) -> Program:
        """The program as the adapter sees it."""
        return self.runnable.for_adapter()

    async def __call__(self, item: Item) -> Row:
        """Run an item; whatever happens but its cancellation is its end."""
        current_execution_id.set(str(item.id))
        if self.adapter is None:
            reason = f"There is no adapter {self.runnable.at.adapter!r} any more."
            error = AdapterError(ErrorType.PROGRAM_NOT_FOUND, reason)
            return ending_row(item, Ending.failed(error))
        trace: list[Any] | None = [] if self.keeps_traces else None
        options = self.options
        call = ProgramCall(
            self.program, item.inputs, options.config, trace=trace, priority=Priority.BATCH
        )
        surroundings = Surroundings(self.adapter, self.clock, self.random)
        attempts = Attempts(call, self.runnable.compiled, options, surroundings)
        began = self.clock.monotonic()
        with execution_span(self.program.name, self.program.revision) as span:
            ending = await _end_of(attempts)
            end_execution(span, ending.outcome, ending.error)
        duration_ms = round((self.clock.monotonic() - began) * 1_000, 3)
        return {
            **ending_row(item, ending),
            "attempts": [*item.attempts, *attempts.log],
            "usage": dict(vars(attempts.usage)),
            "trace": trace,
            "duration_ms": duration_ms,
            "retries": attempts.retries,
        }


def ending_row(item: Item, ending: Ending) -> Row:
    """Make the end of an item that did not run, or not now."""
    return {
        "id": item.id,
        "index": item.index,
        **vars(ending),
        "attempts": item.attempts,
        "usage": dict(vars(Usage())),
        "duration_ms": 0.0,
        "retries": 0,
    }


def unfit(row: Row) -> Row:
    """Make another end out of one that the database does not take."""
    kept = {name: row[name] for name in ("id", "index", "usage", "duration_ms", "retries")}
    return {**vars(Ending.failed(_UNFIT)), "attempts": [], **kept}


async def _end_of(attempts: Attempts) -> Ending:
    try:
        return Ending.completed(await attempts())
    except AdapterError as error:
        return Ending.failed(error)
    except Exception:
        logger.exception("an item was not run as it should be")
        return Ending.failed(_BUG)
