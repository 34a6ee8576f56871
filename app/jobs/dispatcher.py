"""The dispatcher: claims pending executions in groups, and runs as many at once as it may."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import replace
from typing import ClassVar
from uuid import UUID

from app.actions.patience import patiently
from app.actions.program_execution.runs import Runs
from app.adapters.errors import AdapterError, ErrorType
from app.checkpoints import Checkpoint
from app.database import Database
from app.errors import DatabaseUnavailableError
from app.jobs.retry import GivenBackError
from app.models import Execution
from app.models.ids import first_id
from app.models.pending_executions import QUEUE, TASK
from app.policies.clock import Clock
from app.processes.returning import give_back

logger = logging.getLogger(__name__)

LAST_WORD_S = 2.0
"""How long runs may take to stop once they are given back."""

MOST_AT_ONCE = 10_000

_STOPPED = AdapterError(ErrorType.CANCELLED, "The process that ran it was stopped.")
_ANY_TIME = first_id(0)


class Dispatcher:
    """Runs up to `most` executions at once; a job of the engine wakes it up.

    Runs outlive the job that claimed them: what they are found by when this process dies is their
    owner.
    """

    queue: ClassVar[str] = QUEUE
    task: ClassVar[str] = TASK

    def __init__(
        self,
        database: Database,
        runs: Runs,
        run: Callable[[Execution], Awaitable[None]],
        clock: Clock,
        most: int,
    ) -> None:
        self._database = database
        self._runs = runs
        self._run = run
        self._clock = clock
        self._most = most
        self._tasks: dict[UUID, asyncio.Task[None]] = {}
        self._mending = set[asyncio.Task[None]]()
        self._claiming = asyncio.Lock()
        self._changed = asyncio.Event()
        self._is_stopped = False

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs."""
        return not self._tasks

    async def until_idle(self) -> None:
        """Return when nothing runs."""
        while self._tasks:
            await asyncio.wait(self._tasks.values())

    async def __call__(self) -> None:
        """Claim until nothing is pending, waiting for free places however long it takes.

        GivenBackError where it was stopped; DatabaseUnavailableError.
        """
        is_alone = True
        while True:
            await self._until(lambda: len(self._tasks) < self._most)
            async with self._claiming:
                try:
                    is_over = await self._claim(wakes_another=is_alone)
                except BaseException:  # what was claimed, if anything, is not known here
                    self._mend()
                    raise
            if is_over:
                return
            is_alone = False

    def stop(self) -> None:
        """Claim no more; what runs goes on."""
        self._is_stopped = True
        self._changed.set()

    async def close(self) -> None:
        """Stop what runs, and let other processes run it at once; no job runs here any more.

        Where the database is away, they find out by the silence of this one.
        """
        self.stop()
        for task in self._tasks.values():
            task.cancel()
        if ending := {*self._tasks.values(), *self._mending}:
            await asyncio.wait(ending, timeout=LAST_WORD_S)
        for mending in self._mending:
            mending.cancel()
        self._runs.reached(Checkpoint.BEFORE_GIVE_BACK)
        try:
            async with self._database.transaction() as tx:
                held = await tx.pending_executions.hold_lost(
                    {self._runs.owner_id()}, _ANY_TIME, MOST_AT_ONCE
                )
                await give_back(tx, held, _STOPPED)
        except DatabaseUnavailableError:
            logger.warning("executions are not given back: the database is away")
            return
        self._runs.reached(Checkpoint.GIVEN_BACK)

    async def _claim(self, *, wakes_another: bool) -> bool:
        """Claim for the places that are free and run that; True where nothing is left."""
        self._runs.reached(Checkpoint.BEFORE_CLAIM)
        free = self._most - len(self._tasks)
        async with self._database.transaction() as tx:
            claimed = await tx.pending_executions.claim(self._runs.owner_id(), free)
            is_over = not claimed.has_suspect and len(claimed.executions) < free
            if wakes_another and not is_over:
                await tx.pending_executions.wake_up()
        if claimed.executions:
            self._runs.reached(Checkpoint.CLAIMED)
        for execution in claimed.executions:
            if claimed.has_suspect:
                await self._run_alone(execution)
            else:
                self._start(execution)
        return is_over

    async def _run_alone(self, suspect: Execution) -> None:
        """Run what others may have died of beside nothing else, so that it alone is blamed."""
        await self._until(lambda: not self._tasks)
        async with self._database.transaction() as tx:
            is_ours = await tx.pending_executions.start(suspect)
        if is_ours:
            self._start(suspect)
            await self._until(lambda: not self._tasks)

    def _start(self, execution: Execution) -> None:
        running = self._to_the_end(execution)
        task = asyncio.create_task(running, name=f"run {execution.id}", context=Context())
        self._tasks[execution.id] = task
        task.add_done_callback(lambda _: self._free(execution.id))

    async def _to_the_end(self, execution: Execution) -> None:
        try:
            await self._run(execution)
        except Exception:
            logger.exception("execution %s was not run as it should be", execution.id)

    def _free(self, execution_id: UUID) -> None:
        del self._tasks[execution_id]
        self._changed.set()

    async def _until(self, is_so: Callable[[], bool]) -> None:
        """Return when it is so; GivenBackError where the dispatcher is stopped first."""
        while not (self._is_stopped or is_so()):
            self._changed.clear()
            await self._changed.wait()
        if self._is_stopped:
            raise GivenBackError

    def _mend(self) -> None:
        mending = asyncio.create_task(self._return_unknown(), name="return unknown claims")
        self._mending.add(mending)
        mending.add_done_callback(self._mending.discard)

    async def _return_unknown(self) -> None:
        """Put back what was claimed and is not run here: the answer to the claim was lost."""

        async def look() -> None:
            async with self._claiming, self._database.transaction() as tx:
                held = await tx.pending_executions.hold_lost(
                    {self._runs.owner_id()}, _ANY_TIME, MOST_AT_ONCE
                )
                unknown = [one for one in held if one.id not in self._tasks]
                never_ran = [replace(one, started_at=None) for one in unknown]
                await give_back(tx, never_ran, _STOPPED)

        await patiently(self._clock, look)
