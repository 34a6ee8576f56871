"""Places at which a test may have the process killed, to see what a crash leaves behind."""

import os
import signal
from collections.abc import Callable
from enum import StrEnum

from app.settings import SettingsError


class Checkpoint(StrEnum):
    """The places: before and after each commit, in the order in which an execution comes by."""

    BEFORE_BEGIN = "before_begin"
    """The inputs are valid; nothing is recorded."""
    BEGUN = "begun"
    """The record is committed as running; the adapter is not called."""
    ANSWERED = "answered"
    """The adapter has answered; the end is not written."""
    ENDED = "ended"
    """The end is committed; the client has no answer."""
    BEFORE_ACCEPT = "before_accept"
    """The inputs of a background execution are valid; nothing is recorded."""
    ACCEPTED = "accepted"
    """The record is committed as pending, with its wake-up; the client has no answer."""
    BEFORE_CLAIM = "before_claim"
    """A dispatcher was woken up; nothing is claimed."""
    CLAIMED = "claimed"
    """Executions are committed as running; none is run."""
    BEFORE_GIVE_BACK = "before_give_back"
    """A process that ends has stopped what it ran; nothing is given back."""
    GIVEN_BACK = "given_back"
    """What it ran is committed as pending again, with a wake-up."""
    BEFORE_CANCEL = "before_cancel"
    """Somebody asks for a cancellation; nothing is written of it."""
    CANCELLED = "cancelled"
    """The cancellation is committed; nobody has been told."""
    SWEEPING = "sweeping"
    """The executions of a dead process have been ended or taken back; that is not committed."""
    SWEPT = "swept"
    """That is committed; nobody has been told."""
    BATCH_ACCEPTING = "batch_accepting"
    """A slice of a batch's items is committed; the batch is not there."""
    BATCH_ACCEPTED = "batch_accepted"
    """A batch is committed with all its items; the client has no answer."""
    BEFORE_TAKE = "before_take"
    """The dispatcher of lanes was woken up; none is taken."""
    TAKEN = "taken"
    """A lane is committed as this process's, with what its last holder left; nothing is run."""
    ITEMS_CLAIMED = "items_claimed"
    """Items are committed as running; none is run."""
    ITEM_ANSWERED = "item_answered"
    """The adapter has answered for an item; its end is not written."""
    ITEMS_RECORDED = "items_recorded"
    """The ends of items are committed; the lane does not know it."""
    CLOSING = "closing"
    """Every item of a batch has ended; the batch has not."""
    CLOSED = "closed"
    """The end of a batch is committed; nobody has been told."""


Reached = Callable[[Checkpoint], None]


def nothing(_checkpoint: Checkpoint) -> None:
    """Go on."""


def crash_at(place: str | None, kill: Callable[[int, int], None] = os.kill) -> Reached:
    """Give what is called at checkpoints: it kills the process at `name:n`, the n-th time.

    SettingsError where there is no such place.
    """
    if place is None:
        return nothing
    name, _, times = place.partition(":")
    if name not in set(Checkpoint) or not times.isdecimal() or int(times) < 1:
        known = ", ".join(Checkpoint)
        raise SettingsError(f"crash_at: wants name:n, with n from 1 and a name of: {known}")
    left = int(times)

    def reached(checkpoint: Checkpoint) -> None:
        nonlocal left
        left -= checkpoint == name
        if not left:
            kill(os.getpid(), signal.SIGKILL)

    return reached
