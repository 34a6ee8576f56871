"""The executions that run in this process: found by their ids, called off, awaited at the end."""

import asyncio
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from app.checkpoints import Reached, nothing
from app.database import Database


class Owned(Protocol):
    """An execution that runs here: its id, and that under which this process runs it."""

    @property
    def id(self) -> UUID:
        """The id of the record."""
        ...

    @property
    def owner_id(self) -> UUID | None:
        """The process that runs it."""
        ...


@dataclass(eq=False)
class Run:
    """A task that runs an execution; `execution` is None until its record has begun."""

    task: asyncio.Task[Any]
    execution: Owned | None = None
    is_called_off: bool = False

    def call_off(self) -> None:
        """Cancel the task, once: somebody else has ended its record."""
        if not self.is_called_off:
            self.is_called_off = True
            self.task.cancel()


class Runs:
    """Knows what runs here; new executions begin under `owner_id`.

    `reached` is called where a test may have the process killed.
    """

    def __init__(self, owner_id: Callable[[], UUID], reached: Reached = nothing) -> None:
        self.owner_id = owner_id
        self.reached = reached
        self._runs: set[Run] = set()
        self._begun: dict[UUID, Run] = {}

    @contextmanager
    def run(self) -> Iterator[Run]:
        """Know of the current task's run while it lasts."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - coroutines run in tasks
        run = Run(task)
        self._runs.add(run)
        try:
            yield run
        finally:
            self._runs.discard(run)
            if run.execution is not None:
                del self._begun[run.execution.id]

    def begin(self, run: Run, execution: Owned) -> None:
        """Know the execution of a run, whose record has begun."""
        run.execution = execution
        self._begun[execution.id] = run

    def ids(self) -> set[UUID]:
        """Give the ids of what runs."""
        return set(self._begun)

    def call_off(self, execution_ids: Collection[UUID]) -> None:
        """Stop runs whose records have been ended by somebody else."""
        for execution_id in execution_ids:
            if execution_id in self._begun:
                self._begun[execution_id].call_off()

    def give_up(self, owner_id: UUID) -> None:
        """Stop what runs under an id that is not this process's any more."""
        for run in self._begun.values():
            if run.execution is not None and run.execution.owner_id == owner_id:
                run.call_off()

    async def close(self, within_s: float) -> None:
        """Cancel the runs that are under way, and return when their records have ended.

        Ends that the database does not take within `within_s` are left to the recorder's own
        end; without a limit, each would be waited for until its deadline.
        """
        tasks = {run.task for run in self._runs}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=within_s)


class EndedElsewhere:
    """Finds runs whose records somebody else has ended, although nobody told."""

    def __init__(self, database: Database, runs: Runs) -> None:
        self._database = database
        self._runs = runs
        self._before: set[UUID] = set()

    async def __call__(self) -> None:
        """Look once; runs that began since the last look are left for the next."""
        running = self._runs.ids()
        long_running, self._before = running & self._before, running
        if long_running:
            async with self._database.transaction() as tx:
                ended = await tx.executions.list_ended(long_running)
            self._runs.call_off(ended)
