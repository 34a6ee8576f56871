"""How much one thing may be asked that many share."""

import math
from dataclasses import dataclass, replace
from enum import StrEnum


class Limit(StrEnum):
    """What a call may have to wait for."""

    CONCURRENCY = "max_concurrency"
    REQUESTS = "requests_per_minute"
    TOKENS = "tokens_per_minute"
    SERVER = "server"
    """The server itself has asked for a pause."""


@dataclass(frozen=True)
class Limits:
    """How many calls at once, how many and how many tokens in a minute; None is without limit.

    `interactive_share` of each is kept free of batches; an interactive call waits for its turn
    `max_wait_s` at most.
    """

    max_concurrency: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    interactive_share: float = 0.0
    max_wait_s: float = math.inf

    def divided(self, holders: int) -> "Limits":
        """Give what each of so many may ask, so that all of them together keep the limits.

        Each may ask one thing at least, even where there are more holders than that allows.
        """
        return replace(
            self,
            max_concurrency=_part(self.max_concurrency, holders),
            requests_per_minute=_part(self.requests_per_minute, holders),
            tokens_per_minute=_part(self.tokens_per_minute, holders),
        )

    def of_batches(self, limit: int) -> int:
        """Give the part of a limit that batches may use; at least 1."""
        return max(1, math.floor(limit * (1 - self.interactive_share) + 1e-9))


def _part(limit: int | None, holders: int) -> int | None:
    return None if limit is None else max(1, limit // holders)
