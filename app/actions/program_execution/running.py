"""Run an execution whose record has begun to its end, which is recorded on every exit."""

import asyncio
from functools import partial
from random import Random

from app.actions.program_catalogue import RunnableProgram
from app.actions.program_execution.attempts import Attempts, Surroundings
from app.actions.program_execution.ending import Ending
from app.actions.program_execution.options import ExecutionOptions
from app.actions.program_execution.records import ExecutionRecords
from app.actions.program_execution.runs import Run, Runs
from app.adapters.base import ProgramCall
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.guarded import GuardedAdapter
from app.checkpoints import Checkpoint
from app.models import Execution
from app.policies.clock import Clock
from app.telemetry import current_execution_id
from app.telemetry.tracing import end_execution, execution_span

_CANCELLED = AdapterError(ErrorType.CANCELLED, "The execution was cancelled.")
BUG = AdapterError(ErrorType.UNEXPECTED, "Dspatch failed in the middle of the execution.")
"""What a record says of what is no fault of the adapter's."""


class Running:
    """Calls the adapter as often as it is worth, and ends the record."""

    def __init__(self, records: ExecutionRecords, runs: Runs, clock: Clock, random: Random) -> None:
        self._records = records
        self._runs = runs
        self._clock = clock
        self._random = random

    async def __call__(
        self,
        run: Run,
        execution: Execution,
        options: ExecutionOptions,
        runnable: RunnableProgram,
        adapter: GuardedAdapter,
    ) -> Execution:
        """Give the record as it has ended, here or elsewhere.

        Cancelled, it ends the record as cancelled; but for one that runs in the background, which
        somebody has ended, or will run again.
        """
        current_execution_id.set(str(execution.id))
        self._runs.begin(run, execution)
        trace = self._records.new_trace()
        call = ProgramCall(runnable.for_adapter(), execution.inputs, options.config, trace=trace)
        surroundings = Surroundings(adapter, self._clock, self._random)
        attempts = Attempts(call, runnable.compiled, options, surroundings)
        with execution_span(execution.program_name, execution.program_revision) as span:
            ended = await self._to_the_end(execution, attempts)
            end_execution(span, ended.outcome, ended.error)
        return ended

    async def _to_the_end(self, execution: Execution, attempts: Attempts) -> Execution:
        end = partial(self._end, execution, attempts, self._clock.monotonic())
        try:
            ending = Ending.completed(await attempts())
        except AdapterError as error:
            ending = Ending.failed(error)
        except asyncio.CancelledError:
            if not execution.is_background:
                await end(Ending.failed(_CANCELLED))
            raise
        except Exception:
            await end(Ending.failed(BUG))
            raise
        return await end(ending)

    async def _end(
        self, execution: Execution, attempts: Attempts, began: float, ending: Ending
    ) -> Execution:
        duration_ms = round((self._clock.monotonic() - began) * 1_000, 3)
        self._runs.reached(Checkpoint.ANSWERED)
        ended = await self._records.end(execution, ending, attempts, duration_ms)
        self._runs.reached(Checkpoint.ENDED)
        return ended
