"""Rows that wait to be written, each with the caller who waits for it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from app.errors import DatabaseUnavailableError
from app.models.idempotency_keys import Claim
from app.stores.availability import RETRY_AFTER_S


def _nobody() -> None:
    """Hear that an end is written, and tell nobody."""


@dataclass(frozen=True, slots=True)
class End:
    """How a record ends; `written` is called after the commit, whether a caller waits or not."""

    values: Mapping[str, Any]
    written: Callable[[], None] = _nobody


@dataclass(eq=False, slots=True)
class Write:
    """One row: `values` in the order of the statement's columns, the id first.

    `written` gives the database's time of the write, or None where there was nothing to write.
    """

    values: Sequence[Any]
    is_kept: bool
    """Whether it is written although its caller has gone."""
    is_uncertain: bool = False
    """Whether it may have been written already: the answer to that was lost."""
    is_suspect: bool = False
    """Whether it was in a group that was refused: it is written alone, to find the guilty one."""
    left: End | None = None
    """How a record ends that was begun when its caller had gone."""
    heard: Callable[[], None] = _nobody
    """Hears that it is written."""
    claim: Claim | None = None
    """The idempotency key under which alone it is written."""
    written: asyncio.Future[datetime | None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    @property
    def id(self) -> UUID:
        """The id of the row."""
        found: UUID = self.values[0]
        return found

    @property
    def size(self) -> int:
        """Characters of its texts."""
        return sum(len(value) for value in self.values if isinstance(value, str))

    @property
    def is_wanted(self) -> bool:
        """Whether there is a reason to write it."""
        return self.is_kept or self.is_uncertain or not self.written.done()

    @property
    def is_settled(self) -> bool:
        """Whether the caller has been told that it is written, heard or not."""
        written = self.written
        return written.done() and not written.cancelled() and written.exception() is None

    def settle(self, at: datetime | None) -> bool:
        """Tell the caller; False where there is none any more."""
        if self.written.done():
            return False
        self.written.set_result(at)
        return True

    def fail(self, error: Exception) -> bool:
        """Tell the caller that it is not written; False where there is none any more."""
        if self.written.done():
            return False
        self.written.set_exception(error)
        return True

    def _give_up(self) -> None:
        self.fail(unavailable())

    async def within(self, seconds: float) -> datetime | None:
        """Await the write for as long; DatabaseUnavailableError after that."""
        timer = asyncio.get_running_loop().call_later(seconds, self._give_up)
        try:
            return await self.written
        finally:
            timer.cancel()


def unavailable() -> DatabaseUnavailableError:
    """Make what a caller is told whose row was not written in time."""
    return DatabaseUnavailableError(
        "The database did not take the record in time.", retry_after_s=RETRY_AFTER_S
    )
