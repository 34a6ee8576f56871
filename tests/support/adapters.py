"""An adapter whose calls end as a list of outcomes says, and that checks how it is called."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

from app.adapters.base import (
    AdapterHealth,
    AdapterStats,
    Program,
    ProgramCall,
    ProgramInfo,
    ProgramResult,
)
from app.adapters.errors import AdapterError, ErrorType
from app.signatures.definition import SignatureDefinition

Outcome = ProgramResult | BaseException | Callable[[ProgramCall], Awaitable[ProgramResult]]


class ScriptedAdapter:
    """Ends each call with the next outcome; `before_call` may check the state of things."""

    kind = "scripted"

    def __init__(
        self,
        *outcomes: Outcome,
        name: str = "scripted",
        preparation: BaseException | None = None,
        before_call: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.calls: list[ProgramCall] = []
        self.programs: dict[UUID, Program] = {}
        self._outcomes = list(outcomes)
        self._preparation = preparation
        self._before_call = before_call

    async def create_program(self, program: Program) -> None:
        """Hold the program, or fail as told."""
        if self._preparation is not None:
            raise self._preparation
        self.programs[program.program_id] = program

    async def execute_program(self, call: ProgramCall) -> ProgramResult:
        """End as the next outcome says."""
        self._before_call()
        self.calls.append(call)
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome if isinstance(outcome, ProgramResult) else await outcome(call)

    async def list_programs(self) -> Sequence[ProgramInfo]:
        """List what is held."""
        return [_info(program) for program in self.programs.values()]

    async def delete_program(self, program_id: UUID) -> bool:
        """Forget."""
        return self.programs.pop(program_id, None) is not None

    async def get_program_info(self, program_id: UUID) -> ProgramInfo:
        """Say what is held."""
        if program_id not in self.programs:
            raise AdapterError(ErrorType.PROGRAM_NOT_FOUND, "not held")
        return _info(self.programs[program_id])

    async def validate_signature(self, signature: SignatureDefinition) -> None:
        """Take every signature."""

    async def health_check(self) -> AdapterHealth:
        """Be well."""
        return AdapterHealth(healthy=True, latency_ms=0.0)

    async def get_stats(self) -> AdapterStats:
        """Count the calls."""
        return AdapterStats(len(self.programs), 0, len(self.calls), 0)

    async def cleanup(self) -> None:
        """Forget everything."""
        self.programs.clear()


def _info(program: Program) -> ProgramInfo:
    return ProgramInfo(program.program_id, program.revision, program.name)


def answer(**outputs: Any) -> ProgramResult:
    """Make a result with these outputs."""
    return ProgramResult(outputs=outputs, adapter="scripted")
