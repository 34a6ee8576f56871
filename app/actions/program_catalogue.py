"""Programs as they are run: the row, its signature compiled, and what an adapter is given."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from app.adapters.base import Program as AdapterProgram
from app.adapters.guarded import GuardedAdapter
from app.adapters.registry import AdapterRegistry
from app.database import Database
from app.errors import ProgramNotReadyError
from app.models import Program, ProgramRevision, Signature
from app.models.states import ProgramStatus
from app.policies.clock import Clock
from app.signatures.compile import CompiledSignature
from app.stores.transaction import Transaction

REMEMBERED_S = 5.0
"""For so long a change may go unseen where the control channel is down."""

MOST_REMEMBERED = 1_000
"""Programs, and signatures; the oldest is forgotten for the next."""


@dataclass(frozen=True)
class RunnableProgram:
    """A program with everything that a run of it needs; `at` is the revision that runs."""

    program: Program
    at: Program | ProgramRevision
    signature: Signature
    compiled: CompiledSignature

    def for_adapter(self) -> AdapterProgram:
        """Give the program as adapters see it."""
        return AdapterProgram(
            program_id=self.program.id,
            revision=self.at.revision,
            name=self.program.name,
            module=self.program.module,
            signature=self.compiled.definition,
            config=self.at.config,
            state=self.at.state,
        )

    def columns(self, adapter: GuardedAdapter) -> dict[str, Any]:
        """Give the columns `WHAT_RUNS` of the records of its runs."""
        return {
            "program_id": self.program.id,
            "program_name": self.program.name,
            "program_revision": self.at.revision,
            "signature_id": self.signature.id,
            "signature_name": self.signature.name,
            "signature_version": self.signature.version,
            "adapter_type": adapter.kind,
        }

    def ready_adapter(self, adapters: AdapterRegistry) -> GuardedAdapter:
        """Give the adapter that runs it; ProgramNotReadyError in its own words where none can."""
        program, name = self.program, self.at.adapter
        adapter = adapters.find(name)
        if program.status == ProgramStatus.READY and adapter is not None:
            return adapter
        reason = program.error
        if program.status == ProgramStatus.READY:
            reason = f"There is no adapter {name!r} any more."
        raise ProgramNotReadyError(
            f"The program {program.name} is {program.status}" + (f": {reason}" if reason else "."),
            members={"program_status": program.status, "program_error": reason},
        )


_Key: TypeAlias = tuple[UUID, int | None]


class _Memory(NamedTuple):
    """A program that was read, or is about to be, and until when that is good enough."""

    reading: asyncio.Task[RunnableProgram]
    until: float


class ProgramCatalogue:
    """Finds programs, and remembers those that run.

    Compiled signatures are kept, since a signature's fields never change.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._memories: dict[_Key, _Memory] = {}
        self._signatures: dict[UUID, tuple[Signature, CompiledSignature]] = {}

    async def recall(self, program_id: UUID, revision: int | None = None) -> RunnableProgram:
        """Find a program as `get` would, or as it was at most `REMEMBERED_S` ago.

        What has changed is forgotten as soon as this process hears of it.
        """
        key, now = (program_id, revision), self._clock.monotonic()
        memory = self._memories.get(key)
        if memory is None or memory.until <= now:
            memory = self._remember(key, now + REMEMBERED_S)
        return await asyncio.shield(memory.reading)

    def forget(self, program_ids: Collection[UUID]) -> None:
        """Read these programs anew when they are next asked for."""
        for key in [key for key in self._memories if key[0] in program_ids]:
            del self._memories[key]

    def forget_all(self) -> None:
        """Read every program anew."""
        self._memories.clear()

    def _remember(self, key: _Key, until: float) -> _Memory:
        _make_room(self._memories)
        memory = _Memory(asyncio.create_task(self._read(key), name="read a program"), until)
        self._memories[key] = memory
        memory.reading.add_done_callback(lambda _: self._drop_failed(key, memory))
        return memory

    def _drop_failed(self, key: _Key, memory: _Memory) -> None:
        has_failed = memory.reading.cancelled() or memory.reading.exception() is not None
        if has_failed and self._memories.get(key) is memory:
            del self._memories[key]

    async def _read(self, key: _Key) -> RunnableProgram:
        async with self._database.transaction() as tx:
            return await self.get(tx, *key)

    async def get(
        self, tx: Transaction, program_id: UUID, revision: int | None = None
    ) -> RunnableProgram:
        """Find a program as it is, or as it was at a revision.

        Raises ProgramNotFoundError and RevisionNotFoundError.
        """
        program = await tx.programs.get(program_id)
        at: Program | ProgramRevision = program
        if revision is not None and revision != program.revision:
            at = await tx.programs.get_revision(program_id, revision)
        signature, compiled = await self._signature(tx, program.signature_id)
        return RunnableProgram(program, at, signature, compiled)

    async def _signature(
        self, tx: Transaction, signature_id: UUID
    ) -> tuple[Signature, CompiledSignature]:
        if signature_id not in self._signatures:
            signature = await tx.signatures.get(signature_id)
            _make_room(self._signatures)
            self._signatures[signature_id] = signature, CompiledSignature(signature.definition)
        return self._signatures[signature_id]


def _make_room(memory: dict[Any, Any]) -> None:
    """Forget the oldest where there are as many as are remembered."""
    if len(memory) >= MOST_REMEMBERED:
        del memory[next(iter(memory))]
