"""A place for one child, filled again when its child has ended."""

import asyncio
from collections.abc import Callable
from random import Random

from app.adapters.errors import AdapterError
from app.adapters.worker.children import Child
from app.policies.clock import Clock

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 30.0


class Slot:
    """Keeps one child running; `crash` says why there is none while it waits to start the next.

    A child that had answered something is replaced at once; after those that had not there is a
    wait, twice as long for each in a row.
    """

    def __init__(
        self,
        make: Callable[[], Child],
        changed: Callable[[], None],
        clock: Clock,
        random: Random,
        turn: asyncio.Lock,
    ) -> None:
        self.child: Child | None = None
        self.crash: AdapterError | None = None
        self.starts_at = 0.0
        self._make = make
        self._changed = changed
        self._clock = clock
        self._random = random
        self._turn = turn
        self._useless = 0

    async def run(self) -> None:
        """Fill the place for ever; a child that is used up serves until its successor does."""
        while True:
            child = self._make()
            crash = await self._life_of(child)
            if crash is not None:
                self._useless = 0 if child.answered else self._useless + 1
                await self._pause(crash, self._pause_s())

    async def _life_of(self, child: Child) -> AdapterError | None:
        """Have a child serve until it ends, or is used up."""
        try:
            if self.child is not None and self.child.is_open:
                async with self._turn:  # not all successors at once
                    await child.start()
                self.child.retire()
            else:
                await child.start()
        except AdapterError as crash:
            return crash
        self.child = child
        self._changed()
        await child.used_up()
        return None if child.is_open else await child.gone()

    def _pause_s(self) -> float:
        if self._useless == 0:
            return 0.0
        longest = min(FIRST_PAUSE_S * 2.0 ** (self._useless - 1), LONGEST_PAUSE_S)
        return self._random.uniform(longest / 2, longest)

    async def _pause(self, crash: AdapterError, pause_s: float) -> None:
        if pause_s == 0:
            return
        self.starts_at = self._clock.monotonic() + pause_s
        self.crash = crash
        self._changed()
        await self._clock.sleep(pause_s)
        self.crash = None
