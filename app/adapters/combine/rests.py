"""Members that asked to be left alone for a while, and which failure tells most of a call."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from app.adapters.base import Adapter
from app.adapters.errors import AdapterError
from app.policies.retry import LONGEST_WAIT_S


class Rest(NamedTuple):
    """Until when a member is left alone, on the monotonic clock, and what it said."""

    until: float
    failure: AdapterError


class Rests:
    """Keeps to what members say of waiting: none is called before it asked to be."""

    def __init__(self) -> None:
        self._rests: dict[str, Rest] = {}

    def hear(self, name: str, failure: AdapterError, now: float) -> None:
        """Leave a member alone where its failure asks for that.

        A breaker is asked each time: it knows best when it lets calls pass, and refuses at once.
        """
        if not failure.recoverable or failure.retry_after is None or "breaker" in failure.context:
            return
        wait_s = min(failure.retry_after, LONGEST_WAIT_S)
        self._rests[name] = Rest(now + wait_s, failure.bare())

    def split(
        self, members: Sequence[Adapter], now: float
    ) -> tuple[list[Adapter], list[AdapterError]]:
        """Give the members that may be called, in order, and what the others would say."""
        resting = {name: rest for name, rest in self._rests.items() if rest.until > now}
        awake = [member for member in members if member.name not in resting]
        return awake, list(_failures(resting, members, now))


def _failures(
    resting: dict[str, Rest], members: Sequence[Adapter], now: float
) -> Iterator[AdapterError]:
    for member in members:
        if member.name in resting:
            until, failure = resting[member.name]
            yield AdapterError(
                failure.type,
                failure.message,
                context=failure.context,
                retry_after=round(until - now, 3),
            )


def most_telling(failures: Sequence[AdapterError]) -> AdapterError:
    """Give the failure that may pass, and of several the one that asks for the shortest wait.

    Where none may pass it is the first, which is that of the member that is wanted most.
    """
    passing = [failure for failure in failures if failure.recoverable]
    return min(passing, key=lambda of: of.retry_after or 0.0, default=failures[0]).bare()
