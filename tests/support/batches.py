"""Batches to test with, and lanes that are driven by hand."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any
from uuid import UUID

from typing_extensions import override

from app.actions.batch_processing.acceptance import BatchAcceptance
from app.actions.batch_processing.asking import BatchAcceptanceInput, listed
from app.actions.batch_processing.closing import BatchClosing
from app.actions.batch_processing.intake import BatchIntake
from app.actions.batch_processing.lane import LaneTools, Leave, run_lane
from app.actions.batch_processing.options import BatchOptions
from app.actions.batch_processing.storing import AcceptanceTools, BatchStoring
from app.actions.batch_processing.taking import LaneTaking
from app.actions.batch_processing.telling import BatchTelling
from app.actions.batch_processing.validation import Incoming
from app.actions.program_execution.runs import Runs
from app.adapters.base import Adapter, ProgramCall, ProgramResult
from app.adapters.registry import AdapterRegistry
from app.checkpoints import Reached, nothing
from app.database import Database
from app.models import Execution, Program
from app.policies.clock import Clock, SystemClock
from app.policies.shield import Shield
from app.policies.solitude import Solitude
from app.processes.channel import ControlChannel
from app.processes.uploads import AbandonedUploads
from app.stores.batches import BatchReading
from app.stores.pages import Page
from app.telemetry.metrics import Metrics
from tests.stores.rows import ABOUT
from tests.support.adapters import ScriptedAdapter, answer
from tests.support.factories import a_catalogue, new_ids

Answer = Callable[[ProgramCall], Awaitable[ProgramResult]]


class AnsweringAdapter(ScriptedAdapter):
    """Answers every call with its question, unless the test says otherwise; counts what is up."""

    def __init__(self, of: Answer | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._of = of or echo
        self.in_flight = 0
        self.most_in_flight = 0

    @override
    async def execute_program(self, call: ProgramCall) -> ProgramResult:
        """Answer."""
        self.calls.append(call)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self._of(call)
        finally:
            self.in_flight -= 1

    @property
    def asked(self) -> list[str]:
        """The questions, in the order in which they came."""
        return [str(call.inputs["question"]) for call in self.calls]


async def echo(call: ProgramCall) -> ProgramResult:
    """Answer with the question."""
    return answer(answer=call.inputs["question"])


def questions(count: int) -> list[dict[str, str]]:
    """Give inputs, numbered from 0."""
    return [{"question": str(number)} for number in range(count)]


def an_acceptance(
    database: Database, *adapters: Adapter, reached: Reached = nothing
) -> BatchAcceptance:
    """Build the acceptance of batches."""
    ids, clock, catalogue = new_ids(), SystemClock(), a_catalogue(database)
    abandoned, registry = AbandonedUploads(database, ids.new), AdapterRegistry(adapters)
    tell = BatchTelling(database, ids)
    tools = AcceptanceTools(ids, clock, Shield(), Metrics(), ids.new, abandoned.add, tell, reached)
    store = BatchStoring(database, catalogue, registry, tools)
    return BatchAcceptance(BatchIntake(catalogue, registry, clock), store)


def wanted(program: Program, inputs: Sequence[Any], **members: Any) -> BatchAcceptanceInput:
    """Ask for a batch; what is no member of that is an option."""
    own = {
        name: members.pop(name)
        for name in list(members)
        if name in BatchAcceptanceInput.__dataclass_fields__
    }
    items = [
        Incoming(index, None, one, f"/batch_inputs/{index}") for index, one in enumerate(inputs)
    ]
    return BatchAcceptanceInput(program.id, listed(items), options=BatchOptions(**members), **own)


async def never() -> bool:
    """Leave room for nobody."""
    return False


class Peer:
    """A process that works on batches, as far as lanes know: it can be killed."""

    def __init__(
        self,
        database: Database,
        adapter: Adapter,
        clock: Clock | None = None,
        reached: Reached = nothing,
    ) -> None:
        self.database = database
        self.id = new_ids().new()
        self.runs = Runs(lambda: self.id, reached)
        self.clock = clock or SystemClock()
        random = Random(0)  # noqa: S311 - jitter
        channel = ControlChannel(self.clock, random)
        self.metrics = Metrics()
        self.tell = BatchTelling(database, new_ids())
        self.tools = LaneTools(
            database,
            a_catalogue(database),
            AdapterRegistry([adapter]),
            self.runs,
            Solitude(),
            BatchClosing(database, channel, self.metrics, self.tell),
            self.tell,
            self.metrics,
            self.clock,
            random,
        )
        self._tasks = set[asyncio.Task[None]]()

    async def enter(self) -> "Peer":
        """Enter the others."""
        async with self.database.transaction() as tx:
            await tx.processes.add({"id": self.id, **ABOUT})
        return self

    async def run(self, leave: Leave = never) -> asyncio.Task[None] | None:
        """Take the next lane and run it until `leave` says so; None where none waits."""
        taken = await LaneTaking(self.database)(self.id)
        if taken is None:
            return None
        task = asyncio.create_task(run_lane(self.tools, taken, leave))
        self._tasks.add(task)
        return task

    async def work(self) -> None:
        """Take lanes and run them, until none waits."""
        while task := await self.run():
            await task

    async def work_beside(self) -> None:
        """Take all lanes that wait and run them side by side."""
        running = []
        while task := await self.run():
            running.append(task)
        await asyncio.gather(*running)

    async def give_up(self) -> None:
        """Be thought dead: what runs here goes on, but is anybody's."""
        async with self.database.transaction() as tx:
            await tx.processes.end(self.id)

    async def stop(self) -> None:
        """Stop what runs here."""
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    async def ended(self) -> None:
        """Return when nothing runs here."""
        await asyncio.gather(*self._tasks)


async def reading(database: Database, batch_id: UUID) -> BatchReading:
    """Read a batch."""
    async with database.transaction() as tx:
        return await tx.batches.get(batch_id)


async def a_stored_batch(database: Database, program: Program, count: int, **members: Any) -> UUID:
    """Accept a batch of numbered questions; give its id."""
    accept = an_acceptance(database, ScriptedAdapter())
    return (await accept(wanted(program, questions(count), **members))).id


async def items_of(database: Database, batch_id: UUID) -> Sequence[Execution]:
    """List the items of a batch that have ended."""
    async with database.transaction() as tx:
        return (await tx.batch_items.list_ended(batch_id, Page(100_000))).items
