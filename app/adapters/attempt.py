"""One call of an adapter within an execution, as the execution's record tells it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from app.adapters.errors import AdapterError, ErrorType
from app.adapters.usage import Usage

INTERRUPTED = AdapterError(ErrorType.CANCELLED, "The call was cancelled.")
"""How a call looks while it runs, and ever after where it was stopped from outside."""

EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass
class Attempt:
    """A call as it goes: who, from when, how long in milliseconds; `error` is None if it answered.

    `usage` grows while the adapter spends, so that a call that is stopped is counted too, and
    `waited_s` while it stands in the line of an LM.
    `members` are the calls that a combination made for this one: they are told in its place.
    """

    adapter: str = ""
    started_at: datetime = EPOCH
    duration_ms: float = 0.0
    error: AdapterError | None = INTERRUPTED
    usage: Usage = field(default_factory=Usage)
    waited_s: float = 0.0
    members: list["Attempt"] = field(default_factory=list)

    def leaves(self) -> Iterator["Attempt"]:
        """Give the calls that are told: this one, or those made for it."""
        if not self.members:
            yield self
        for member in self.members:
            yield from member.leaves()

    def lose(self, error: AdapterError) -> None:
        """Tell why what was stopped, or answered in vain, did not count."""
        for attempt in (self, *self.leaves()):
            if attempt.error is INTERRUPTED or attempt.error is None:
                attempt.error = error

    def fail(self, error: AdapterError) -> None:
        """End in a failure, and what was interrupted by it with the same."""
        for attempt in self.leaves():
            if attempt.error is INTERRUPTED:
                attempt.error = error
        self.error = error

    @property
    def spent(self) -> Usage:
        """What it cost, its members' calls included."""
        return sum((attempt.usage for attempt in self.leaves()), Usage())

    def as_document(self) -> dict[str, Any]:
        """Give the call as records hold it."""
        return {
            "adapter": self.adapter,
            "started_at": self.started_at.isoformat().replace("+00:00", "Z"),
            "duration_ms": self.duration_ms,
            "error": self.error and self.error.as_document(),
        }
