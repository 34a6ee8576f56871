"""The attempts of one execution: each bounded, recorded, and repeated where that is worth it."""

import asyncio
import logging
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from app.actions.program_execution.options import ExecutionOptions
from app.adapters.base import Adapter, ProgramCall, ProgramResult, Repair
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.usage import Usage
from app.policies.clock import Clock
from app.policies.deadline import Deadline
from app.signatures.compile import CompiledSignature, ValuesError
from app.telemetry import spend

TOLD_FAULTS = 20
"""Faults of one answer that the model is told: a list of a thousand costs more than it mends."""

logger = logging.getLogger(__name__)

_CANCELLED = AdapterError(ErrorType.CANCELLED, "The call was cancelled.")


@dataclass(frozen=True)
class Surroundings:
    """What attempts take from outside: the adapter, time and chance."""

    adapter: Adapter
    clock: Clock
    random: Random


class Attempts:
    """Runs a call until it succeeds, or fails for good; `log`, `usage`, `trace` grow on the way.

    `deadline` is the moment by which the whole has ended.
    """

    def __init__(
        self,
        call: ProgramCall,
        compiled: CompiledSignature,
        options: ExecutionOptions,
        surroundings: Surroundings,
    ) -> None:
        self.log: list[dict[str, Any]] = []
        self.usage = Usage()
        self._repairs = 0
        self.trace = call.trace
        self._call = call
        self._compiled = compiled
        self._options = options
        self._adapter = surroundings.adapter
        self._clock = surroundings.clock
        self._random = surroundings.random
        self.deadline = Deadline(surroundings.clock, options.deadline_ms / 1_000)

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
        retries = len(self.log) - self._repairs
        policy = self._options.retry_policy(used=retries)
        return await policy.run(self._attempt, self.deadline, self._clock, self._random)

    def _is_worth_repair(self, failure: AdapterError) -> bool:
        return (
            failure.type is ErrorType.OUTPUT_INVALID
            and self._repairs < self._options.max_repairs
            and self.deadline.remaining_s > 0
        )

    async def _attempt(self) -> ProgramResult:
        started_at, began = self._clock.now(), self._clock.monotonic()
        entry = {
            "adapter": self._adapter.name,
            "started_at": started_at.isoformat().replace("+00:00", "Z"),
            "duration_ms": 0.0,
            "error": _CANCELLED.as_document(),
        }
        self.log.append(entry)
        try:
            result = await self._answer()
        except AdapterError as failure:
            entry["error"] = failure.as_document()
            self.usage += failure.usage
            raise
        else:
            entry |= {"adapter": result.adapter, "error": None}
            self.usage += result.usage
            return result
        finally:
            duration_ms = round((self._clock.monotonic() - began) * 1_000, 3)
            entry["duration_ms"] = duration_ms
            spend("adapter", duration_ms)

    async def _answer(self) -> ProgramResult:
        result = await self._bounded(replace(self._call, attempt=len(self.log)))
        try:
            return replace(result, outputs=self._compiled.validate_outputs(result.outputs))
        except ValuesError as error:
            raise _invalid(error, result) from None

    async def _bounded(self, call: ProgramCall) -> ProgramResult:
        """Call the adapter within the time that there is; every failure is an AdapterError."""
        seconds = self.deadline.cap(self._options.timeout / 1_000)
        try:
            async with asyncio.timeout(seconds):
                return await self._adapter.execute_program(call)
        except AdapterError:
            raise
        except TimeoutError:
            message = f"No answer within {seconds * 1_000:.0f} ms."
            raise AdapterError(ErrorType.TIMEOUT, message) from None
        except Exception as error:
            logger.exception("adapter %s raised what is no AdapterError", self._adapter.name)
            message = f"The adapter failed: {type(error).__name__}."
            raise AdapterError(ErrorType.UNEXPECTED, message) from error


def _invalid(error: ValuesError, result: ProgramResult) -> AdapterError:
    raw = result.raw_output if result.raw_output is not None else result.outputs
    return AdapterError(
        ErrorType.OUTPUT_INVALID,
        "The outputs do not fit the signature: "
        + "; ".join(f"{fault.path}: {fault.message}" for fault in error.faults),
        context={"faults": [fault.as_document() for fault in error.faults]},
        raw_output=raw,
        usage=result.usage,
    )


def _repair(failure: AdapterError) -> Repair:
    faults = [fault["message"] for fault in failure.context.get("faults", ())]
    return Repair(failure.raw_output, tuple(faults[:TOLD_FAULTS] or [failure.message]))
