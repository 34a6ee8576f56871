"""The limits of the operator's LMs: one line for each, whichever adapters ask it."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from app.policies.clock import Clock
from app.policies.limiter import Limiter, Priority, Turn
from app.policies.limits import Limits
from app.policies.rate import Word
from app.settings import LMSettings


class Line(Protocol):
    """The line before an LM, wherever it stands."""

    def turn(
        self, priority: Priority, *, tokens: int, has_s: float
    ) -> AbstractAsyncContextManager[Turn]:
        """Wait for a turn of a call that has so many seconds; raises LimitReachedError."""
        ...

    def pause(self, seconds: float) -> None:
        """Let nobody go for so long."""
        ...

    def hear(self, requests: Word | None, tokens: Word | None) -> None:
        """Keep to what the server says of how much it still takes."""
        ...


class Lines(Protocol):
    """The lines before LMs, by the names of these."""

    def __getitem__(self, name: str) -> Line: ...


class LMLimiters:
    """The lines of this process, by the names of their LMs.

    The limits of an LM hold for all who may ask it together; each line keeps to its part.
    """

    def __init__(self, lms: Mapping[str, LMSettings], clock: Clock) -> None:
        self._whole = {name: limits_of(lm) for name, lm in lms.items()}
        self._limiters = {name: Limiter(clock, limits) for name, limits in self._whole.items()}

    def __getitem__(self, name: str) -> Limiter:
        return self._limiters[name]

    def divide(self, holders: int) -> None:
        """Share the LMs with so many, this process included."""
        for name, whole in self._whole.items():
            part = whole.divided(holders)
            if part != self._limiters[name].limits:
                self._limiters[name].set(part)


def limits_of(lm: LMSettings) -> Limits:
    """Give the limits that the settings of an LM hold."""
    return Limits(
        max_concurrency=lm.max_concurrency,
        requests_per_minute=lm.requests_per_minute,
        tokens_per_minute=lm.tokens_per_minute,
        interactive_share=lm.interactive_share,
        max_wait_s=lm.max_wait_ms / 1_000,
    )
