"""Ids: UUIDv7 on the database's clock, so that their order is that of time on every replica."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from uuid_utils import uuid7

from app.policies.clock import Clock

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

LAST_PLACE = (1 << 32) - 1
"""The highest place that an item can have in its batch."""


class Ids:
    """Makes ids; `offset_s` is how far the database's clock is ahead of this machine's."""

    def __init__(self, clock: Clock, offset_s: float = 0.0) -> None:
        self._clock = clock
        self._offset = timedelta(seconds=offset_s)

    def new(self) -> UUID:
        """Make an id that no other process makes."""
        now = self._clock.now() + self._offset
        return UUID(int=uuid7(nanoseconds=(now - _EPOCH) // _MICROSECOND * 1_000).int)


def made_at(identifier: UUID) -> datetime:
    """Give the millisecond in which an id was made; OverflowError beyond the calendar."""
    return _EPOCH + timedelta(milliseconds=identifier.int >> 80)


def first_id(milliseconds: int) -> UUID:
    """Give the lowest id of a millisecond since 1970: every id made then or later is above it."""
    return UUID(int=milliseconds << 80)


def item_id(batch_id: UUID, place: int) -> UUID:
    """Give the id of the item at a place of a batch, counted from 0.

    The low 32 bits are the place, the rest is the batch's: the primary key itself forbids a second
    record of an item, and the items in order are one range of ids.
    """
    return UUID(int=batch_id.int & ~LAST_PLACE | place)


def place_of(item: UUID) -> int:
    """Give an item's place in its batch."""
    return item.int & LAST_PLACE


def item_range(batch_id: UUID) -> tuple[UUID, UUID]:
    """Give the first and the last id that an item of a batch can have."""
    return item_id(batch_id, 0), item_id(batch_id, LAST_PLACE)
