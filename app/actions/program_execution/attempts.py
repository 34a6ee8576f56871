"""The attempts of one execution: each bounded, recorded, and repeated where that is worth it."""

from dataclasses import dataclass, replace
from random import Random
from typing import Any

from app.actions.program_execution.options import ExecutionOptions
from app.adapters.attempt import Attempt
from app.adapters.base import ProgramCall, ProgramResult, Repair
from app.adapters.calling import call_adapter
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.guarded import GuardedAdapter
from app.adapters.usage import Usage
from app.policies.clock import Clock
from app.policies.deadline import Deadline
from app.signatures.compile import CompiledSignature
from app.telemetry import spend
from app.telemetry.tracing import spanning

TOLD_FAULTS = 20
"""Faults of one answer that the model is told: a list of a thousand costs more than it mends."""


@dataclass(frozen=True)
class Surroundings:
    """What attempts take from outside: the adapter, time and chance."""

    adapter: GuardedAdapter
    clock: Clock
    random: Random


class Attempts:
    """Runs a call until it succeeds, or fails for good; `log`, `usage`, `trace` grow on the way.

    `deadline` is the moment by which the whole has ended. What a combination tried of its members
    is told as attempts of their own.
    """

    def __init__(
        self,
        call: ProgramCall,
        compiled: CompiledSignature,
        options: ExecutionOptions,
        surroundings: Surroundings,
    ) -> None:
        self.deadline = Deadline(surroundings.clock, options.deadline_ms / 1_000)
        self.trace = call.trace
        self._made: list[Attempt] = []
        self._repairs = 0
        self._call = replace(call, timeout_s=options.timeout / 1_000, deadline=self.deadline)
        self._compiled = compiled
        self._options = options
        self._adapter = surroundings.adapter
        self._clock = surroundings.clock
        self._random = surroundings.random

    @property
    def log(self) -> list[dict[str, Any]]:
        """The attempts, as the record holds them."""
        return [told.as_document() for made in self._made for told in made.leaves()]

    @property
    def usage(self) -> Usage:
        """What all attempts cost."""
        return sum((made.spent for made in self._made), Usage())

    @property
    def retries(self) -> int:
        """How many attempts followed the first, but for repairs."""
        return max(0, len(self._made) - self._repairs - 1)

    async def __call__(self) -> ProgramResult:
        """Give the result with validated outputs; raises the last attempt's AdapterError."""
        while True:
            try:
                return await self._retried()
            except AdapterError as failure:
                if not self._is_worth_repair(failure):
                    raise
                self._repairs += 1
                self._call = replace(self._call, repair=_repair(failure))

    async def _retried(self) -> ProgramResult:
        retries = len(self._made) - self._repairs
        policy = self._options.retry_policy(retries, self._may_retry)
        self._adapter.retries.called()
        return await policy.run(self._attempt, self.deadline, self._clock, self._random)

    def _may_retry(self, failure: BaseException) -> bool:
        """Take a retry out of the adapter's budget; the record says where there was none left."""
        if self._adapter.retries.take():
            return True
        assert isinstance(failure, AdapterError)  # noqa: S101 - nothing else is worth a retry
        failure.context["retry_budget"] = "exhausted"
        return False

    def _is_worth_repair(self, failure: AdapterError) -> bool:
        return (
            failure.type is ErrorType.OUTPUT_INVALID
            and self._repairs < self._options.max_repairs
            and self.deadline.remaining_s > 0
        )

    async def _attempt(self) -> ProgramResult:
        told = Attempt()
        self._made.append(told)
        call = replace(self._call, attempt=len(self._made), told=told)
        try:
            with spanning(f"attempt {call.attempt}", {"dspatch.attempt": call.attempt}):
                return await call_adapter(self._adapter, call, self._compiled, self._clock)
        finally:
            spend("adapter", told.duration_ms)


def _repair(failure: AdapterError) -> Repair:
    faults = [fault["message"] for fault in failure.context.get("faults", ())]
    return Repair(failure.raw_output, tuple(faults[:TOLD_FAULTS] or [failure.message]))
