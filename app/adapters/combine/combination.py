"""What all combinations share: members, programs on all of them, and calls that are told."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import override

from app.adapters.attempt import Attempt
from app.adapters.base import Adapter, AdapterHealth, Program, ProgramCall, ProgramResult
from app.adapters.calling import call_adapter
from app.adapters.combine.rests import Rests
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.prepared import PreparingAdapter
from app.adapters.setup import AdapterSetup
from app.policies.usual_time import UsualTime
from app.signatures.compile import CompiledSignature
from app.signatures.definition import SignatureDefinition

CALLERS_OWN = frozenset(
    {ErrorType.INVALID_REQUEST, ErrorType.VALIDATION_FAILED, ErrorType.CANCELLED}
)
"""What the caller caused: every member would say the same, so that none is asked in its place."""

NEEDED = 20
"""Calls of a program before it is known how long they usually take."""

logger = logging.getLogger(__name__)


class CombinationOptions(BaseModel):
    """The members by their names, in order; one may be named more than once."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    members: Annotated[list[str], Field(min_length=1)]


class CombinedProgram:
    """A program on a combination: its signature, which members rest, and how long calls take."""

    def __init__(self, program: Program) -> None:
        self.compiled = CompiledSignature(program.signature)
        self.rests = Rests()
        self.usual_time = UsualTime(NEEDED)


class Combination(PreparingAdapter[CombinedProgram]):
    """Calls members; its kinds say which of them, when, and what their answers come to.

    `enough` members have to be able to run a program so that the combination can.
    """

    def __init__(self, setup: AdapterSetup, options: CombinationOptions) -> None:
        super().__init__(setup.name)
        self.members: Sequence[Adapter] = tuple(map(setup.member, options.members))
        self.enough = 1
        self._clock = setup.clock

    @override
    async def prepare(self, program: Program) -> CombinedProgram:
        return CombinedProgram(program)

    @override
    async def create_program(self, program: Program) -> None:
        await self._of_enough(lambda member: member.create_program(program))
        await super().create_program(program)

    @override
    async def execute_program(self, call: ProgramCall) -> ProgramResult:
        is_new = not self._programs.holds(call.program)
        try:
            result = await super().execute_program(call)
        except AdapterError as failure:
            if is_new and failure.type in CALLERS_OWN:
                self._programs.forget(call.program.program_id)
            raise failure.bare(call.told.spent) from failure
        return replace(result, usage=call.told.spent)

    def for_member(self, member: Adapter, call: ProgramCall) -> ProgramCall:
        """Give the call as one member is to make it, told below the whole."""
        told = Attempt(member.name, self._clock.now())
        call.told.members.append(told)
        return replace(call, told=told)

    async def call_member(
        self, member: Adapter, program: CombinedProgram, call: ProgramCall
    ) -> ProgramResult:
        """Make a call that is for a member; raises AdapterError."""
        try:
            return await call_adapter(member, call, program.compiled, self._clock)
        except AdapterError as failure:
            program.rests.hear(member.name, failure, self._clock.monotonic())
            raise

    @override
    async def delete_program(self, program_id: UUID) -> bool:
        was_held = await super().delete_program(program_id)
        deletions = [member.delete_program(program_id) for member in self.members]
        answers = await asyncio.gather(*deletions, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return was_held or any(answers)

    async def validate_signature(self, signature: SignatureDefinition) -> None:
        """Raise `unsupported` where fewer members than are needed take the signature."""
        await self._of_enough(lambda member: member.validate_signature(signature))

    async def health_check(self) -> AdapterHealth:
        """Be healthy where enough members are; never raises."""
        began = self._clock.monotonic()
        healths = await asyncio.gather(*(member.health_check() for member in self.members))
        latency_ms = (self._clock.monotonic() - began) * 1_000
        if sum(health.healthy for health in healths) >= self.enough:
            return AdapterHealth(healthy=True, latency_ms=latency_ms)
        faults = [
            f"{member.name}: {health.error}"
            for member, health in zip(self.members, healths, strict=True)
            if not health.healthy
        ]
        return AdapterHealth(healthy=False, latency_ms=latency_ms, error="; ".join(faults))

    async def _of_enough(self, does: Callable[[Adapter], Awaitable[Any]]) -> None:
        """Ask all members; raises where too few can, or one refuses what the caller asks for."""
        answers = await asyncio.gather(*map(does, self.members), return_exceptions=True)
        failures = []
        for member, answer in zip(self.members, answers, strict=True):
            if isinstance(answer, AdapterError) and answer.type not in CALLERS_OWN:
                logger.warning("%s goes on without %s: %s", self.name, member.name, answer)
                failures.append(answer)
            elif isinstance(answer, BaseException):
                raise answer
        if len(self.members) - len(failures) < self.enough:
            raise failures[0]
