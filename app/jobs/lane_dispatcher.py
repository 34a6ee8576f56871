"""The dispatcher of lanes: takes those that wait, and runs as many at once as it may."""

import asyncio
import logging
from collections import Counter
from collections.abc import Coroutine
from contextvars import Context
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias
from uuid import UUID

from app.actions.batch_processing.lane import LAST_WORD_S, LaneTools, run_lane
from app.actions.batch_processing.taking import LaneTaking
from app.actions.patience import patiently
from app.jobs.retry import GivenBackError
from app.models.batches import QUEUE, TASK
from app.stores.batch_lanes import HeldLane
from app.stores.waiting_lanes import TakenLane

logger = logging.getLogger(__name__)

STINT_S = 30.0
"""After so long a lane makes room, where others wait."""

LOOK_S = 1.0
"""How often a process without free places looks for batches that nobody works on."""

AGAIN_AFTER_S = 5.0
"""The pause before a lane is given back that failed as nothing should."""

LaneKey: TypeAlias = tuple[UUID, int]


@dataclass(eq=False)
class Stint:
    """A lane that runs here, since when, and whether it is to make room for another."""

    lane: HeldLane
    since: float
    is_over: bool = False


class LaneDispatcher:
    """Runs up to `most` lanes at once; a job of the engine wakes it up.

    The last place is kept for a lane of a batch that nobody works on, so that a small batch begins
    at once whatever runs beside it. Lanes outlive the job that has taken them: what they are found
    by when this process dies is their owner.
    """

    queue: ClassVar[str] = QUEUE
    task: ClassVar[str] = TASK

    def __init__(self, tools: LaneTools, most: int) -> None:
        self._tools = tools
        self._database = tools.database
        self._owner_id = tools.runs.owner_id
        self._take = LaneTaking(tools.database, tools.runs.reached)
        self._clock = tools.clock
        self._most = most
        self._stints: dict[LaneKey, Stint] = {}
        self._tasks = set[asyncio.Task[None]]()
        self._taking = asyncio.Lock()
        self._changed = asyncio.Event()
        self._is_stopped = False

    @property
    def is_idle(self) -> bool:
        """Whether no lane runs."""
        return not self._stints

    async def until_idle(self) -> None:
        """Return when no lane runs."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def __call__(self) -> None:
        """Take lanes until none waits, waiting for free places however long it takes.

        GivenBackError where it was stopped; DatabaseUnavailableError.
        """
        has_called = False
        while not self._is_stopped:
            self._changed.clear()
            if await self._took_one():
                continue
            if not await self._is_anyone_waiting(calls=not has_called):
                return
            has_called = True
            await self._until_changed()
        raise GivenBackError

    def stop(self) -> None:
        """Take no more; lanes that run end what they have begun."""
        self._is_stopped = True
        self._changed.set()

    async def close(self) -> None:
        """Stop what runs, and let other processes run it at once.

        Where the database is away, they find out by the silence of this one.
        """
        self.stop()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LAST_WORD_S + 1.0)

    async def _took_one(self) -> bool:
        """Take a lane and run it, if there is a place and a lane for it."""
        async with self._taking:
            used = len(self._stints)
            if used >= self._most:
                return False
            is_kept = 0 < used == self._most - 1
            try:
                taken = await self._take(self._owner_id(), is_first=is_kept)
            except BaseException:  # what was taken, if anything, is not known here
                self._begin(self._take_strays())
                raise
            if taken is not None:
                self._start(taken)
            return taken is not None

    def _start(self, taken: TakenLane) -> None:
        stint = Stint(taken.lane, self._clock.monotonic())
        self._stints[taken.lane.batch_id, taken.lane.number] = stint
        self._begin(self._to_the_end(taken, stint))

    async def _to_the_end(self, taken: TakenLane, stint: Stint) -> None:
        async def leave() -> bool:
            return await self._must_leave(stint)

        try:
            await run_lane(self._tools, taken, leave)
        except Exception:
            logger.exception("lane %d of batch %s failed", stint.lane.number, stint.lane.batch_id)
            await self._clock.sleep(AGAIN_AFTER_S)
            await patiently(self._clock, lambda: self._release(stint.lane))
        finally:
            del self._stints[stint.lane.batch_id, stint.lane.number]
            self._changed.set()

    async def _release(self, lane: HeldLane) -> None:
        async with self._database.transaction() as tx:
            await tx.lanes.release(lane, waits=True)

    async def _must_leave(self, stint: Stint) -> bool:
        if self._is_stopped or stint.is_over:
            return True
        now = self._clock.monotonic()
        if now - stint.since < STINT_S:
            return False
        stint.since = now
        return await patiently(self._clock, lambda: self._is_anyone_waiting(calls=False))

    async def _is_anyone_waiting(self, *, calls: bool) -> bool:
        """Tell whether lanes wait; another process may have places for them, and is called."""
        async with self._database.transaction() as tx:
            waiting = await tx.waiting_lanes.count_waiting()
            if waiting and calls:
                await tx.waiting_lanes.wake_up()
        return waiting > 0

    async def _until_changed(self) -> None:
        """Return when a place is free, and now and then; make room for who has none at all."""
        timer = asyncio.get_running_loop().call_later(LOOK_S, self._changed.set)
        try:
            await self._changed.wait()
        finally:
            timer.cancel()
        if len(self._stints) >= self._most and not self._is_stopped:
            async with self._database.transaction() as tx:
                is_needed = await tx.waiting_lanes.count_waiting(is_first=True)
            if is_needed:
                self._make_room()

    def _make_room(self) -> None:
        """End a stint of the batch that has most lanes here, if it has several."""
        if any(stint.is_over for stint in self._stints.values()):
            return
        lanes = Counter(batch_id for batch_id, _ in self._stints)
        for largest, count in lanes.most_common(1):
            stints = [stint for stint in self._stints.values() if stint.lane.batch_id == largest]
            min(stints, key=lambda stint: stint.since).is_over = count > 1

    async def _take_strays(self) -> None:
        """Run the lanes that are this process's and do not run: the answer to a take was lost."""

        async def look() -> None:
            async with self._taking, self._database.transaction() as tx:
                held = await tx.waiting_lanes.list_held(self._owner_id())
                strays = [key for key in held if key not in self._stints]
                taken = [await tx.waiting_lanes.take(*key, self._owner_id()) for key in strays]
            for one in taken:
                if one is not None:
                    self._start(one)

        await patiently(self._clock, look)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
