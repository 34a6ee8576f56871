"""How much may be done within a minute: by a limit of our own, and by what a server says."""

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from app.policies.clock import Clock

SPAN_S = 60.0
LONGEST_WORD_S = 60.0
"""The longest that a word of a server is kept to: then it is asked again."""
TOLERANCE_S = 1e-6
"""What sums of floats may lose: no wait is shorter."""


@dataclass(frozen=True)
class Word:
    """What a server says: how much it still takes, and in how many seconds it takes more."""

    remaining: int
    reset_s: float


@dataclass(eq=False)
class Entry:
    """How much was done at a time, and whether it was done for a batch."""

    at: float
    amount: int
    is_batch: bool
    is_over: bool = False


NOT_KEPT = Entry(0.0, 0, is_batch=False, is_over=True)
"""The entry of what has no limit."""


class Rate:
    """Allows so much within any 60 s, and batches a part of it; a server may allow less."""

    def __init__(self, clock: Clock) -> None:
        self._limit: float = math.inf
        self._of_batches: float = math.inf
        self._clock = clock
        self._entries: deque[Entry] = deque()
        self._done = {True: 0, False: 0}
        """How much within the span: for batches, and for others."""
        self._remaining: float = math.inf
        self._remains_until = -math.inf

    def set(self, limit: int | None, of_batches: Callable[[int], int]) -> None:
        """Keep to this limit from now on; None is without limit."""
        self._limit = math.inf if limit is None else limit
        self._of_batches = math.inf if limit is None else of_batches(limit)

    def wait_s(self, amount: int, *, is_batch: bool) -> float:
        """Tell after how long so much more is allowed; 0 where it is now.

        More than the whole limit is allowed where nothing else was done within the span.
        """
        if self._limit == math.inf and amount <= self._remaining:
            return 0.0
        self._forget()
        now = self._clock.monotonic()
        excess = sum(self._done.values()) + min(amount, self._limit) - self._limit
        waits = [self._gone_at(excess, iter(self._entries)) - now]
        if amount > self._remaining:
            waits.append(self._remains_until - now)
        if is_batch:
            excess = self._done[True] + min(amount, self._of_batches) - self._of_batches
            batches = (entry for entry in self._entries if entry.is_batch)
            waits.append(self._gone_at(excess, batches) - now)
        return max(0.0, *waits)

    def use(self, amount: int, *, is_batch: bool) -> Entry:
        """Count what is done now; `correct` may say later how much it was."""
        self._remaining -= amount
        if self._limit == math.inf:
            return NOT_KEPT
        entry = Entry(self._clock.monotonic(), amount, is_batch)
        self._entries.append(entry)
        self._done[is_batch] += amount
        return entry

    def correct(self, entry: Entry, amount: int) -> None:
        """Count another amount in place of an entry's."""
        if not entry.is_over:
            self._done[entry.is_batch] += amount - entry.amount
            entry.amount = amount

    def hear(self, word: Word) -> None:
        """Keep to what the server says, instead of what it said before."""
        self._remaining = word.remaining
        self._remains_until = self._clock.monotonic() + min(word.reset_s, LONGEST_WORD_S)

    def _gone_at(self, excess: float, entries: Iterator[Entry]) -> float:
        """Tell when so much of what was done will be out of the span."""
        at = -math.inf
        while excess > 0:
            entry = next(entries)
            excess, at = excess - entry.amount, entry.at + SPAN_S
        return at

    def _forget(self) -> None:
        over = self._clock.monotonic() - SPAN_S + TOLERANCE_S
        while self._entries and self._entries[0].at <= over:
            entry = self._entries.popleft()
            entry.is_over = True
            self._done[entry.is_batch] -= entry.amount
