"""The adapter that runs programs in child processes, which may crash without harm to this one."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import override

from app.adapters.base import AdapterHealth, Program, ProgramCall, ProgramResult
from app.adapters.child_environment import child_environment
from app.adapters.dspy.endpoints import read_lms
from app.adapters.errors import AdapterError
from app.adapters.lm_limits import LMParts
from app.adapters.prepared import PreparingAdapter
from app.adapters.setup import AdapterSetup, read_options
from app.adapters.worker.children import Child, Surroundings
from app.adapters.worker.documents import lm_documents, read_result
from app.adapters.worker.limits import Limits
from app.adapters.worker.messages import Start
from app.adapters.worker.pool import ChildPool
from app.adapters.worker.processes import ChildProcess, Launch
from app.adapters.worker.serving import RUNS
from app.signatures.definition import SignatureDefinition

COMMAND = (sys.executable, "-P", "-m", "app.adapters.worker.child")

SHORTEST_SECRET = 6
"""Shorter values are not masked: they would tear words apart that mean something else."""


class WorkerOptions(BaseModel):
    """The options of a `worker` adapter."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    processes: Annotated[int, Field(ge=1, le=256)] = os.cpu_count() or 1
    """Children; by default one for each core."""
    concurrency: Annotated[int, Field(ge=1, le=10_000)] = 64
    """Calls in flight in one child; more wait."""
    recycle_requests: Annotated[int, Field(ge=1)] | None = 100_000
    """After so many answers a child is replaced; none: never."""
    recycle_megabytes: Annotated[int, Field(ge=1)] | None = None
    """A child that holds more memory is replaced, a minute after its start at the earliest."""
    runs: Literal["dspy", "mock"] = "dspy"
    """The kind of adapter that runs the programs in the children."""
    environment: tuple[str, ...] = ()
    """Variables that the children see besides the few that all do."""


def child_pool(
    setup: AdapterSetup, around: Surroundings, command: Sequence[str] = COMMAND
) -> ChildPool:
    """Make the pool that the options ask for, of children that `command` starts."""
    options = read_options(setup, WorkerOptions)
    start = Start(options.runs, setup.name, lm_documents(setup, options.processes))
    environment = child_environment(setup.environment, options.environment)
    launch = Launch(command, environment, tuple(_secrets(setup, options)))

    name = f"a child of {setup.name}"
    megabytes = options.recycle_megabytes
    limits = Limits(options.recycle_requests, megabytes and megabytes * 1024 * 1024)

    def make() -> Child:
        process = ChildProcess(launch, name, around.clock)
        return Child(name, process, start, around, limits)

    return ChildPool(
        make,
        around.clock,
        around.random,
        size=options.processes,
        concurrency=options.concurrency,
    )


class WorkerAdapter(PreparingAdapter[Program]):
    """Runs programs in children, each with an interpreter of its own that runs another adapter.

    Nothing is started before there is a program to run, or the operator has named the adapter.
    """

    kind: ClassVar[str] = "worker"

    def __init__(
        self,
        setup: AdapterSetup,
        make_pool: Callable[[AdapterSetup, Surroundings], ChildPool] = child_pool,
    ) -> None:
        super().__init__(setup.name)
        self._clock = setup.clock
        # What needs no program is asked of an adapter in this process; it reads the LMs as well.
        self._twin = RUNS[read_options(setup, WorkerOptions).runs](replace(setup, options={}))
        around = Surroundings(setup.clock, Random(), setup.metrics)  # noqa: S311 - ids, jitter
        self._pool = make_pool(setup, around)
        self._is_asked_for = setup.is_asked_for

    @override
    async def prepare(self, program: Program) -> Program:
        await self._pool.prepare(program)
        return program

    @override
    async def run(self, prepared: Program, call: ProgramCall) -> ProgramResult:
        return read_result(await self._pool.execute(call), self.name)

    @override
    async def delete_program(self, program_id: UUID) -> bool:
        self._pool.forget(program_id)
        return await super().delete_program(program_id)

    async def validate_signature(self, signature: SignatureDefinition) -> None:
        """Raise `unsupported` where programs on this signature could not run in a child."""
        await self._twin.validate_signature(signature)

    async def warm_up(self) -> None:
        """Start the children, where the operator has named the adapter."""
        if self._is_asked_for:
            with suppress(AdapterError):  # it is logged, and every call will say it
                await self._pool.ready()

    async def health_check(self) -> AdapterHealth:
        """Ask the children how they are; where there was no need for any, all is well."""
        if not self._pool.is_started:
            return AdapterHealth(healthy=True, latency_ms=0.0)
        began = self._clock.monotonic()
        try:
            faults = {pong.error for pong in await self._pool.ping() if not pong.healthy}
            error = "; ".join(sorted(map(str, faults))) or None
        except AdapterError as crash:
            error = crash.message
        return AdapterHealth(error is None, (self._clock.monotonic() - began) * 1_000, error)

    def lm_children(self) -> Mapping[str, int]:
        """Say how many children hold a program of an LM, by the names of the LMs."""
        return self._pool.lm_children()

    def limit_children(self, parts: LMParts) -> None:
        """Have each child ask no more of the LMs than this."""
        self._pool.limit(parts)

    @override
    async def cleanup(self) -> None:
        await super().cleanup()
        await self._pool.close()


def _secrets(setup: AdapterSetup, options: WorkerOptions) -> Iterator[str]:
    """Find what no message of a child may tell."""
    for lm in read_lms(setup.lms, setup.environment):
        yield from lm.secrets
    for name in options.environment:
        if len(value := setup.environment.get(name, "")) >= SHORTEST_SECRET:
            yield value
