"""What adapters in this process have in common: programs prepared by revision, and counts."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar, Generic, TypeVar
from uuid import UUID

from app.adapters.base import AdapterStats, Program, ProgramCall, ProgramInfo, ProgramResult
from app.adapters.errors import AdapterError, ErrorType

REVISIONS_HELD = 4
"""How many revisions of one program stay prepared: canaries and pinned calls run side by side."""

Prepared = TypeVar("Prepared")


class PreparedPrograms(Generic[Prepared]):
    """Programs made ready to run, by id and revision."""

    def __init__(self, prepare: Callable[[Program], Awaitable[Prepared]]) -> None:
        self._prepare = prepare
        self._held: dict[UUID, dict[int, Prepared]] = {}
        self._names: dict[UUID, str] = {}
        self._preparing: dict[tuple[UUID, int], asyncio.Future[Prepared]] = {}

    async def replace(self, program: Program) -> None:
        """Prepare a program and forget every other revision of it."""
        prepared = await self._prepare(program)
        self._held[program.program_id] = {program.revision: prepared}
        self._names[program.program_id] = program.name

    async def get(self, program: Program) -> Prepared:
        """Give a program as it was prepared, preparing it first where it is not held.

        Those who ask meanwhile wait for the same preparation; if the one that it is made for
        leaves, the next one begins anew.
        """
        key = program.program_id, program.revision
        while (leading := self._preparing.get(key)) is not None:
            await asyncio.wait([leading])
            if not leading.cancelled():
                return leading.result()
        prepared = self._held.get(program.program_id, {}).get(program.revision)
        return await self._lead(key, program) if prepared is None else prepared

    async def _lead(self, key: tuple[UUID, int], program: Program) -> Prepared:
        leading = self._preparing[key] = asyncio.get_running_loop().create_future()
        try:
            prepared = await self._prepare(program)
        except Exception as failure:
            leading.set_exception(failure)
            leading.exception()  # nobody has to hear of it there
            raise
        else:
            self._keep(program, prepared)
            leading.set_result(prepared)
            return prepared
        finally:
            leading.cancel()
            del self._preparing[key]

    def _keep(self, program: Program, prepared: Prepared) -> None:
        revisions = self._held.setdefault(program.program_id, {})
        revisions[program.revision] = prepared
        self._names[program.program_id] = program.name
        while len(revisions) > REVISIONS_HELD:
            del revisions[next(iter(revisions))]

    def holds(self, program: Program) -> bool:
        """Tell whether this revision of a program is held."""
        return program.revision in self._held.get(program.program_id, {})

    def forget(self, program_id: UUID) -> bool:
        """Forget a program; False where it was not held."""
        self._names.pop(program_id, None)
        return self._held.pop(program_id, None) is not None

    def clear(self) -> None:
        """Forget all."""
        self._held.clear()
        self._names.clear()

    def info(self, program_id: UUID) -> ProgramInfo:
        """Say what is held of a program; `program_not_found` where nothing is."""
        revisions = self._held.get(program_id)
        if revisions is None:
            raise AdapterError(
                ErrorType.PROGRAM_NOT_FOUND, f"the program {program_id} is not prepared here"
            )
        return ProgramInfo(program_id, max(revisions), self._names[program_id])

    def infos(self) -> Sequence[ProgramInfo]:
        """Say what is held of every program."""
        return [self.info(program_id) for program_id in self._held]


class CallCounter:
    """Counts calls as they begin, run and fail."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.calls = 0
        self.failures = 0

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count what runs inside as one call; a cancelled call is no failure."""
        self.calls += 1
        self.in_flight += 1
        try:
            yield
        except Exception:
            self.failures += 1
            raise
        finally:
            self.in_flight -= 1


class PreparingAdapter(ABC, Generic[Prepared]):
    """The part of an adapter that keeps programs prepared and counts; its kinds say how to run."""

    kind: ClassVar[str]

    def __init__(self, name: str) -> None:
        self.name = name
        self._programs = PreparedPrograms(self.prepare)
        self._counter = CallCounter()

    @abstractmethod
    async def prepare(self, program: Program) -> Prepared:
        """Make a program ready to run."""

    @abstractmethod
    async def run(self, prepared: Prepared, call: ProgramCall) -> ProgramResult:
        """Run a program that was made ready."""

    async def create_program(self, program: Program) -> None:
        """Prepare a program; the same id again replaces what was held."""
        await self._programs.replace(program)

    async def execute_program(self, call: ProgramCall) -> ProgramResult:
        """Run a program, preparing it first where it is not held at this revision."""
        with self._counter.counting():
            return await self.run(await self._programs.get(call.program), call)

    async def list_programs(self) -> Sequence[ProgramInfo]:
        """List the programs that are held prepared."""
        return self._programs.infos()

    async def delete_program(self, program_id: UUID) -> bool:
        """Forget a program; False where it was not held."""
        return self._programs.forget(program_id)

    async def get_program_info(self, program_id: UUID) -> ProgramInfo:
        """Say what is held of a program; `program_not_found` where nothing is."""
        return self._programs.info(program_id)

    async def get_stats(self) -> AdapterStats:
        """Count what the adapter did since it was started."""
        counter = self._counter
        programs = len(self._programs.infos())
        return AdapterStats(programs, counter.in_flight, counter.calls, counter.failures)

    async def cleanup(self) -> None:
        """Give everything back; the adapter is not used afterwards."""
        self._programs.clear()
