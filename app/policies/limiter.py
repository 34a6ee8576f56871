"""A line before something that many share: who may go now, and who waits for how long.

Interactive calls go before batches, each in the order of coming.
"""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from typing import NamedTuple

from app.policies.clock import Clock
from app.policies.limits import Limit, Limits
from app.policies.rate import LONGEST_WORD_S, TOLERANCE_S, Entry, Rate, Word

WAITED_PART = 0.9
"""The part of a call's time that it may wait for its turn: the rest is for the answer."""


class Priority(StrEnum):
    """Who goes first."""

    INTERACTIVE = "interactive"
    """Somebody waits for the answer."""
    BATCH = "batch"


class LimitReachedError(Exception):
    """A call's turn did not come in time; `retry_after_s` where it is known when it would have."""

    def __init__(self, limit: Limit, retry_after_s: float | None = None) -> None:
        super().__init__(limit)
        self.limit = limit
        self.retry_after_s = retry_after_s


class _Obstacle(NamedTuple):
    """What a call has to wait for, and how long; without end, where that is not known."""

    limit: Limit
    wait_s: float = math.inf


class Turn:
    """A call in the line; `came` gives None when it may go, or what it would wait too long for.

    `tokens` is what it is thought to spend; `spent`, in the end, what it did spend, if known.
    """

    def __init__(self, priority: Priority, tokens: int, until: float) -> None:
        self.priority = priority
        self.is_batch = priority is Priority.BATCH
        self.tokens = tokens
        self.until = until
        self.came: asyncio.Future[_Obstacle | None] = asyncio.get_running_loop().create_future()
        self.entry: Entry | None = None
        self.spent: int | None = None


class Limiter:
    """Gives turns within limits, which may be set anew at any time."""

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self._clock = clock
        self._requests, self._tokens = Rate(clock), Rate(clock)
        self._line: dict[Priority, deque[Turn]] = {of: deque() for of in Priority}
        self._in_flight = dict.fromkeys(Priority, 0)
        self._pause_until = -math.inf
        self._waking: asyncio.Task[None] | None = None
        self._wakes_at = math.inf
        self.set(limits)

    def set(self, limits: Limits) -> None:
        """Keep to these limits from now on; what goes on, or has been, counts against them."""
        self.limits = limits
        for rate, limit in (
            (self._requests, limits.requests_per_minute),
            (self._tokens, limits.tokens_per_minute),
        ):
            rate.set(limit, limits.of_batches)
        self._advance()

    def hear(self, requests: Word | None, tokens: Word | None) -> None:
        """Keep to what the server says of how much it still takes."""
        for rate, word in ((self._requests, requests), (self._tokens, tokens)):
            if word is not None:
                rate.hear(word)

    def pause(self, seconds: float) -> None:
        """Let nobody go for so long, up to a minute."""
        until = self._clock.monotonic() + min(seconds, LONGEST_WORD_S)
        self._pause_until = max(self._pause_until, until)

    @asynccontextmanager
    async def turn(
        self,
        priority: Priority = Priority.INTERACTIVE,
        *,
        tokens: int = 0,
        has_s: float = math.inf,
    ) -> AsyncIterator[Turn]:
        """Wait for a turn of a call that has `has_s` seconds; it lasts as long as the block.

        LimitReachedError where it comes too late: at once, where that is known.
        """
        longest_s = math.inf if priority is Priority.BATCH else self.limits.max_wait_s
        wait_s = min(longest_s, has_s * WAITED_PART)
        turn = Turn(priority, tokens, self._clock.monotonic() + wait_s)
        self._line[priority].append(turn)
        self._advance()
        try:
            await self._come(turn, wait_s)
            yield turn
        finally:
            self._leave(turn)

    async def _come(self, turn: Turn, wait_s: float) -> None:
        if not turn.came.done():
            with suppress(TimeoutError):
                async with asyncio.timeout(None if wait_s == math.inf else wait_s):
                    await turn.came
        obstacle = (
            self._obstacle(turn) or _Obstacle(Limit.CONCURRENCY)
            if turn.came.cancelled()
            else turn.came.result()
        )
        if obstacle is not None:
            is_known = obstacle.wait_s < math.inf
            raise LimitReachedError(obstacle.limit, obstacle.wait_s if is_known else None)

    def _leave(self, turn: Turn) -> None:
        if turn.entry is not None:
            self._in_flight[turn.priority] -= 1
            if turn.spent is not None:
                self._tokens.correct(turn.entry, turn.spent)
        self._advance()

    def _advance(self) -> None:
        """Let all go who may, turn away who would wait too long, and look again when it is time."""
        while (turn := self._first()) is not None:
            obstacle = self._obstacle(turn)
            if obstacle is not None and not self._is_too_late(turn, obstacle):
                self._look_again(obstacle.wait_s)
                return
            self._line[turn.priority].popleft()
            if obstacle is None:
                self._go(turn)
            turn.came.set_result(obstacle)
        if self._waking is not None:
            self._waking.cancel()
            self._waking = None

    def _first(self) -> Turn | None:
        """Give who is next; those who have gone away are forgotten."""
        for line in self._line.values():
            while line and line[0].came.done():
                line.popleft()
            if line:
                return line[0]
        return None

    def _go(self, turn: Turn) -> None:
        self._in_flight[turn.priority] += 1
        self._requests.use(1, is_batch=turn.is_batch)
        turn.entry = self._tokens.use(turn.tokens, is_batch=turn.is_batch)

    def _is_too_late(self, turn: Turn, obstacle: _Obstacle) -> bool:
        return turn.until < self._clock.monotonic() + obstacle.wait_s < math.inf

    def _obstacle(self, turn: Turn) -> _Obstacle | None:
        if self._is_full(turn):
            return _Obstacle(Limit.CONCURRENCY)
        is_batch = turn.is_batch
        wait_s, limit = max(
            (self._pause_until - self._clock.monotonic(), Limit.SERVER),
            (self._requests.wait_s(1, is_batch=is_batch), Limit.REQUESTS),
            (self._tokens.wait_s(turn.tokens, is_batch=is_batch), Limit.TOKENS),
        )
        return _Obstacle(limit, wait_s) if wait_s > TOLERANCE_S else None

    def _is_full(self, turn: Turn) -> bool:
        most = self.limits.max_concurrency
        if most is None:
            return False
        of_batches = self.limits.of_batches(most)
        is_batch_full = turn.is_batch and self._in_flight[Priority.BATCH] >= of_batches
        return is_batch_full or sum(self._in_flight.values()) >= most

    def _look_again(self, wait_s: float) -> None:
        at = self._clock.monotonic() + wait_s
        if at == math.inf or (self._waking is not None and self._wakes_at <= at):
            return
        if self._waking is not None:
            self._waking.cancel()
        self._wakes_at = at
        self._waking = asyncio.create_task(self._wake(wait_s), name="wait for a limit")

    async def _wake(self, wait_s: float) -> None:
        await self._clock.sleep(wait_s)
        self._waking = None
        self._advance()
