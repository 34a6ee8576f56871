"""Several members at once: the first answer counts, and the others are stopped."""

import asyncio
from abc import abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field
from typing_extensions import override

from app.adapters.attempt import Attempt
from app.adapters.base import Adapter, ProgramCall, ProgramResult
from app.adapters.combine.combination import (
    CALLERS_OWN,
    Combination,
    CombinationOptions,
    CombinedProgram,
)
from app.adapters.combine.rests import most_telling
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.setup import AdapterSetup, read_options

OVERTAKEN = AdapterError(ErrorType.CANCELLED, "Another member answered first.")


@dataclass(frozen=True)
class Runner:
    """A member that was called, and may win."""

    told: Attempt
    task: asyncio.Task[ProgramResult]


class Race(Combination):
    """Calls the next member where one failed, or none answered within a pause."""

    @abstractmethod
    def pause_s(self, program: CombinedProgram) -> float | None:
        """Give how long to wait before the next member is called too; None: until one fails."""

    @override
    async def run(self, prepared: CombinedProgram, call: ProgramCall) -> ProgramResult:
        awake, failures = prepared.rests.split(self.members, self._clock.monotonic())
        left, pause_s = deque(awake), self.pause_s(prepared)
        running: list[Runner] = []
        try:
            while left or running:
                if left:
                    running.append(self._start(left.popleft(), prepared, call))
                for runner in await self._ended(running, pause_s if left else None):
                    running.remove(runner)
                    try:
                        result = runner.task.result()
                    except AdapterError as failure:
                        if failure.type in CALLERS_OWN:
                            raise
                        failures.append(failure)
                    else:
                        await _overtake(running)
                        return result
                if call.deadline.remaining_s <= 0:
                    left.clear()
        finally:
            await _stop(running)
        raise most_telling(failures)

    def _start(self, member: Adapter, prepared: CombinedProgram, call: ProgramCall) -> Runner:
        own = self.for_member(member, call)
        calling = self.call_member(member, prepared, own)
        return Runner(own.told, asyncio.create_task(calling, name=f"call {member.name}"))

    async def _ended(self, running: Sequence[Runner], within_s: float | None) -> Sequence[Runner]:
        """Wait for the first end, at most so long; give those that have ended, in order."""
        tasks = [runner.task for runner in running]
        alarm = asyncio.ensure_future(self._sleep(within_s))
        try:
            await asyncio.wait([*tasks, alarm], return_when=asyncio.FIRST_COMPLETED)
        finally:
            alarm.cancel()
        return [runner for runner in running if runner.task.done()]

    async def _sleep(self, seconds: float | None) -> None:
        if seconds is None:
            await asyncio.Event().wait()
        else:
            await self._clock.sleep(seconds)


async def _stop(runners: Sequence[Runner]) -> None:
    """Cancel calls and await their ends, whatever these are."""
    for runner in runners:
        runner.task.cancel()
    await asyncio.gather(*(runner.task for runner in runners), return_exceptions=True)


async def _overtake(runners: Sequence[Runner]) -> None:
    """Stop those that lost, and tell why."""
    await _stop(runners)
    for runner in runners:
        runner.told.lose(OVERTAKEN)


class Fastest(Race):
    """Calls all members at once."""

    kind: ClassVar[str] = "fastest"

    def __init__(self, setup: AdapterSetup) -> None:
        super().__init__(setup, read_options(setup, CombinationOptions))

    @override
    def pause_s(self, program: CombinedProgram) -> float | None:
        return 0.0


class HedgedOptions(CombinationOptions):
    """When the next member is called; without it, where 19 in 20 calls have been answered."""

    delay_ms: Annotated[float, Field(ge=0, le=3_600_000)] | None = None


class Hedged(Race):
    """Calls a second member where the first is slower than it mostly is.

    A first member that was overtaken took at least as long as it ran, and is kept so: left out,
    the slow calls would be forgotten, and ever quicker ones would count as slow.
    """

    kind: ClassVar[str] = "hedged"

    def __init__(self, setup: AdapterSetup) -> None:
        options = read_options(setup, HedgedOptions)
        super().__init__(setup, options)
        self._delay_ms = options.delay_ms

    @override
    def pause_s(self, program: CombinedProgram) -> float | None:
        return program.usual_time.p95_s if self._delay_ms is None else self._delay_ms / 1_000

    @override
    async def run(self, prepared: CombinedProgram, call: ProgramCall) -> ProgramResult:
        try:
            return await super().run(prepared, call)
        finally:
            for first in call.told.members[:1]:
                if first.error is None or first.error is OVERTAKEN:
                    prepared.usual_time.add(first.duration_ms / 1_000)
