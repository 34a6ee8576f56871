"""The one iterator from which a lane's slots take their items: claimed ahead of need."""

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence

from app.policies.clock import Clock
from app.stores.batch_lanes import Item

WORTH_SHARE = 0.02
"""Items are claimed ahead where slots would otherwise wait for more than this share of the time."""

Claim = Callable[[int], Awaitable[Sequence[Item] | None]]


class Feed:
    """Hands out items one by one, so that no slot waits for a claim while there is work.

    As many are claimed as slots wait for, and ahead of them what the slots will take until the
    next claim has come: nothing where items take long, since what is claimed is as good as running.
    """

    def __init__(self, claim: Claim, slots: int, most: int, clock: Clock) -> None:
        self._claim = claim
        self._slots = slots
        self._most = most
        self._clock = clock
        self._pace = Pace(clock)
        self._stock = deque[Item]()
        self._waiting = 0
        self._claiming: asyncio.Task[None] | None = None
        self._failure: Exception | None = None
        self._is_over = False
        self.is_stopped = False

    def put(self, items: Iterable[Item]) -> None:
        """Have items handed out before any others."""
        self._stock.extend(items)

    async def next(self) -> Item | None:
        """Give the next item, or None where none is left; raises what a claim has raised."""
        self._waiting += 1
        try:
            while not (self._stock or self._is_over or self.is_stopped):
                self._begin_claim()
                await self._claimed()
        finally:
            self._waiting -= 1
        if self._failure is not None:
            raise self._failure
        if self.is_stopped or not self._stock:
            return None
        item = self._stock.popleft()
        self._pace.handed_out += 1
        if not self._is_over and len(self._stock) < self._ahead():
            self._begin_claim()
        return item

    def stop(self) -> None:
        """Hand out no more."""
        self.is_stopped = True

    async def rest(self) -> Sequence[Item]:
        """Give the items that were claimed and not handed out, once no claim is under way."""
        await self._claimed()
        left, self._stock = list(self._stock), deque()
        return left

    async def close(self) -> None:
        """Stop claiming; what a claim that is under way brings is for the next holder."""
        self.stop()
        if self._claiming is not None:
            self._claiming.cancel()
            await asyncio.wait({self._claiming})

    def _ahead(self) -> int:
        """Say how many items should lie ready, beyond those that slots wait for."""
        needed = self._pace.needed
        return 0 if needed < self._slots * WORTH_SHARE else min(math.ceil(2 * needed), self._slots)

    def _begin_claim(self) -> None:
        if self._claiming is None or self._claiming.done():
            self._claiming = asyncio.create_task(self._refill(), name="claim items")

    async def _claimed(self) -> None:
        """Return when no claim is under way, whatever becomes of who waits."""
        if self._claiming is not None:
            await asyncio.wait({self._claiming})

    async def _refill(self) -> None:
        wanted = self._waiting + self._ahead() - len(self._stock)
        began = self._clock.monotonic()
        try:
            items = await self._claim(min(max(wanted, 1), self._most))
        except Exception as error:  # noqa: BLE001 - each slot raises it
            self._failure, self._is_over = error, True
            return
        self._pace.claimed(began)
        self._stock.extend(items or ())
        self._is_over = items is None


class Pace:
    """How many items are handed out while a claim is under way; recent claims count most."""

    def __init__(self, clock: Clock) -> None:
        self.needed = 0.0
        self.handed_out = 0
        self._clock = clock
        self._since = clock.monotonic()

    def claimed(self, began: float) -> None:
        """Reckon anew, now that a claim has come."""
        now = self._clock.monotonic()
        per_s = self.handed_out / max(now - self._since, 1e-6)
        self.needed = (self.needed + per_s * (now - began)) / 2
        self.handed_out, self._since = 0, now
