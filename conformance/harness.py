"""What the suite needs of an adapter: a way to say how its back-end behaves."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from app.adapters.base import Adapter
from app.adapters.errors import ErrorType
from app.adapters.guarded import GuardedAdapter
from app.policies.breaker import Breaker
from app.policies.clock import SystemClock

ALL_ERRORS = (
    ErrorType.TIMEOUT,
    ErrorType.CONNECTION_FAILED,
    ErrorType.BACKEND_ERROR,
    ErrorType.RATE_LIMITED,
    ErrorType.OVERLOADED,
    ErrorType.AUTHENTICATION,
    ErrorType.INVALID_REQUEST,
    ErrorType.CONTEXT_WINDOW_EXCEEDED,
    ErrorType.OUTPUT_INVALID,
)
"""What a back-end can do wrong; every adapter has to be able to say it."""


HANGS_WITHIN_S = 10.0
"""How long a call may take to reach the back-end."""


class Harness(ABC):
    """An adapter under its guard, and the behaviour of its back-end as the config of a program."""

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = GuardedAdapter(adapter, Breaker(SystemClock()))

    @property
    def answers_as(self) -> Sequence[str]:
        """Give the names under which results may come: a combination's are its members'."""
        return [self.adapter.name]

    @property
    def most_calls(self) -> int:
        """Give how many calls of an LM one call of a program may cost."""
        return 1

    def answering(self) -> Mapping[str, Any]:
        """Give the config of a program that answers by itself."""
        return {}

    @abstractmethod
    def wrong(self) -> Mapping[str, Any]:
        """Give a config that no call could use."""

    @abstractmethod
    def saying(self, outputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Give the config of a program that answers with these outputs, once."""

    @abstractmethod
    def failing(self, error_type: ErrorType) -> Mapping[str, Any]:
        """Give the config of a program that fails so, once; rate limits ask for 7 seconds."""

    @abstractmethod
    def hanging(self) -> Mapping[str, Any]:
        """Give the config of a program that does not answer."""

    @abstractmethod
    def is_hanging(self) -> bool:
        """Say whether a call of a program that does not answer has reached the back-end."""

    async def until_hanging(self) -> None:
        """Wait until a call of a program that does not answer has reached the back-end."""
        async with asyncio.timeout(HANGS_WITHIN_S):
            while not self.is_hanging():  # noqa: ASYNC110 - a back-end has no event to wait for
                await asyncio.sleep(0.02)

    @abstractmethod
    def unhealthy(self) -> None:
        """Make the back-end unable to run programs."""
