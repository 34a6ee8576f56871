"""The recorder: begins, accepts and ends records by group commit, each caller awaiting its own.

Every row is committed before its caller goes on. Beginnings, acceptances and ends have a writer
each, so that new work never stands in the way of answers that were paid for.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from app.models.idempotency_keys import Claim
from app.policies.clock import Clock
from app.stores.recorder.statements import (
    BEGINNING,
    ENDING,
    PENDING,
    RUNNING,
    Beginnings,
    Endings,
    MakePartitions,
    Observer,
    encoded,
)
from app.stores.recorder.writer import Connect, Writer
from app.stores.recorder.writes import End, Write, unavailable

WRITERS = 3
"""Each has a connection of its own."""

MOST_WAITING = 10_000
"""Beginnings over this number are refused; ends never are: each had a beginning."""


def _nobody(_ids: Sequence[UUID]) -> None:
    """Hear of ended records, and tell nobody."""


class Recorder:
    """Writes records in groups; `ended` is told of the ids after the commit of their ends."""

    def __init__(
        self,
        connect: Connect,
        make_partitions: MakePartitions,
        clock: Clock,
        ended: Observer = _nobody,
    ) -> None:
        beginnings = Beginnings(RUNNING, make_partitions, self._leave)
        acceptances = Beginnings(PENDING, make_partitions, self._leave)
        self._beginnings = Writer(connect, beginnings, clock)
        self._acceptances = Writer(connect, acceptances, clock)
        self._ends = Writer(connect, Endings(ended), clock)

    async def begin(
        self,
        row: Mapping[str, Any],
        left: End,
        within_s: float,
        claim: Claim | None = None,
    ) -> datetime:
        """Add a running record; give the time of its beginning, on the database's clock.

        KeyChangedError where another request holds the idempotency key that it claims, and
        DatabaseUnavailableError where it is not written within `within_s`. A caller who goes,
        then or by cancellation, leaves either no record or one that ends as `left` says.
        """
        write = Write(encoded(BEGINNING, row), is_kept=False, left=left, claim=claim)
        return await self._add(self._beginnings, write, within_s)

    async def accept(
        self,
        row: Mapping[str, Any],
        left: End,
        within_s: float,
        claim: Claim | None = None,
    ) -> datetime:
        """Add a pending record to the queue, and wake somebody up; as `begin` for the rest.

        One that was claimed before its caller went runs on.
        """
        write = Write(encoded(BEGINNING, row), is_kept=False, left=left, claim=claim)
        return await self._add(self._acceptances, write, within_s)

    async def _add(self, writer: Writer, write: Write, within_s: float) -> datetime:
        if writer.waiting >= MOST_WAITING:
            raise unavailable()
        writer.add(write)
        try:
            at = await write.within(within_s)
        except asyncio.CancelledError:
            if write.is_settled:  # it was written before the caller could see it
                self._leave(write)
            raise
        assert at is not None  # noqa: S101 - a beginning that is not written fails
        return at

    async def finish(self, execution_id: UUID, end: End, within_s: float) -> datetime | None:
        """End a record and count it; give the time, None where it had ended or there is none.

        DatabaseUnavailableError where it is not written within `within_s`: it is kept, and
        written when the database is back. A caller may go meanwhile: the end is written.
        """
        return await self._end(execution_id, end).within(within_s)

    async def close(self, grace_s: float) -> None:
        """Write what waits; what is not written after `grace_s` is lost, and logged."""
        await self._beginnings.close(grace_s)
        await self._acceptances.close(grace_s)
        await self._ends.close(grace_s)

    def _leave(self, begun: Write) -> None:
        assert begun.left is not None  # noqa: S101 - every beginning says it
        self._end(begun.id, begun.left)

    def _end(self, execution_id: UUID, end: End) -> Write:
        row = encoded(ENDING, {"id": execution_id, **end.values})
        write = Write(row, is_kept=True, heard=end.written)
        self._ends.add(write)
        return write
