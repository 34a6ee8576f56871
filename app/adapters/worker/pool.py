"""The children of one `worker` adapter: kept in number, and each call given to the least busy."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from random import Random
from uuid import UUID

from app.adapters.base import Program, ProgramCall
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.lm_limits import LMParts
from app.adapters.worker.children import Child
from app.adapters.worker.messages import Pong, Result
from app.adapters.worker.slots import Slot
from app.policies.clock import Clock

WATCH_S = 1.0


class ChildPool:
    """Runs `size` children once they are needed, each with up to `concurrency` calls in flight."""

    def __init__(
        self,
        make: Callable[[], Child],
        clock: Clock,
        random: Random,
        *,
        size: int,
        concurrency: int,
    ) -> None:
        self._clock = clock
        self._concurrency = concurrency
        self._make = make
        turn = asyncio.Lock()
        self._slots = [
            Slot(self._new_child, self._wake_all, clock, random, turn) for _ in range(size)
        ]
        self._alive: set[Child] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_closed = False
        self._parts: LMParts = {}

    @property
    def is_started(self) -> bool:
        """Whether there was a need for children."""
        return bool(self._tasks)

    def start(self) -> None:
        """Start the children, unless they are; `worker_crashed` where all is over."""
        if self._is_closed:
            raise AdapterError(ErrorType.WORKER_CRASHED, "The child processes were stopped.")
        if not self._tasks:
            works = [slot.run() for slot in self._slots]
            self._tasks = [asyncio.create_task(work) for work in (*works, self._watch())]

    async def execute(self, call: ProgramCall) -> Result:
        """Run a program in a child; raises AdapterError, `worker_crashed` where there is none."""
        began = self._clock.monotonic()
        try:
            child = await self._free_child()
        finally:
            call.told.waited_s += self._clock.monotonic() - began
        with self._busy(child):
            return await child.execute(call)

    async def prepare(self, program: Program) -> None:
        """Make a program ready in one child; the others do so when they first run it."""
        child = await self._free_child()
        with self._busy(child):
            await child.prepare(program)

    def forget(self, program_id: UUID) -> None:
        """Have all children drop a program."""
        for child in self._alive:
            child.forget(program_id)

    def lm_children(self) -> Mapping[str, int]:
        """Count the children that hold a program of an LM, by the names of the LMs."""
        return Counter(name for child in self._alive if child.is_open for name in child.lms)

    def limit(self, parts: LMParts) -> None:
        """Have all children, those to come too, ask no more of the LMs than this."""
        self._parts = parts
        for child in self._alive:
            child.limit(parts)

    async def ready(self) -> Sequence[Child]:
        """Give the children that take calls, waiting for the first; raises `worker_crashed`."""
        while True:
            self.start()
            if children := self._open_children():
                return children
            self._refuse_where_none_starts()
            await self._change()

    async def ping(self) -> Sequence[Pong]:
        """Ask all children how their adapters are; raises `worker_crashed`."""
        return await asyncio.gather(*(child.ping() for child in await self.ready()))

    async def close(self) -> None:
        """End all children."""
        self._is_closed = True
        self._wake_all()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for child in self._alive:
            child.stop()
        await asyncio.gather(*(child.gone() for child in self._alive))

    def _new_child(self) -> Child:
        child = self._make()
        child.relieved = self._wake_all
        self._alive.add(child)
        return child

    def _open_children(self) -> Sequence[Child]:
        children = (slot.child for slot in self._slots)
        return [child for child in children if child is not None and child.is_open]

    async def _free_child(self) -> Child:
        """Give the least busy child, once there is one with a place; first come, first served."""
        if self._waiting:
            await self._change()
        while not (free := [one for one in await self.ready() if self._has_place(one)]):
            await self._change()
        return min(free, key=lambda one: (one.in_flight, one.answered))

    @contextmanager
    def _busy(self, child: Child) -> Iterator[None]:
        """Hold a place of a child."""
        try:
            with child.busy():
                yield
        finally:
            self._wake_next()

    def _has_place(self, child: Child) -> bool:
        return child.in_flight < self._concurrency and not child.is_in_doubt

    def _refuse_where_none_starts(self) -> None:
        """Fail at once where all slots wait before they try again."""
        crashes = [slot.crash for slot in self._slots if slot.crash is not None]
        if len(crashes) < len(self._slots):
            return
        starts_at = min(slot.starts_at for slot in self._slots)
        raise AdapterError(
            ErrorType.WORKER_CRASHED,
            crashes[-1].message,
            context=crashes[-1].context,
            retry_after=round(max(0.0, starts_at - self._clock.monotonic()), 3),
        )

    async def _change(self) -> None:
        """Wait for a place that is free again, or a slot that changes."""
        change: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(change)
        try:
            await change
        except asyncio.CancelledError:
            if change in self._waiting:
                self._waiting.remove(change)
            else:
                self._wake_next()  # it was its turn, which it cannot take
            raise

    def _wake_next(self) -> None:
        if self._waiting:
            change = self._waiting.popleft()
            if not change.done():
                change.set_result(None)

    def _wake_all(self) -> None:
        while self._waiting:
            self._wake_next()

    async def _watch(self) -> None:
        while True:
            await self._clock.sleep(WATCH_S)
            self._alive = {child for child in self._alive if not child.is_gone}
            for child in self._alive:
                child.watch(WATCH_S)
                child.limit(self._parts)
