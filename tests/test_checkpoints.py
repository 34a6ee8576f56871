import os
import signal

import pytest

from app.checkpoints import Checkpoint, crash_at, nothing
from app.settings import SettingsError


def test_unset_nothing_happens() -> None:
    """A process without the setting has nothing to count."""
    assert crash_at(None) is nothing
    nothing(Checkpoint.BEGUN)


def test_the_process_is_killed_at_the_nth_time() -> None:
    """Other places and earlier times are passed by."""
    killed: list[tuple[int, int]] = []
    reached = crash_at("begun:2", lambda pid, number: killed.append((pid, number)))
    for checkpoint in (Checkpoint.BEFORE_BEGIN, Checkpoint.BEGUN, Checkpoint.ENDED):
        reached(checkpoint)
    assert killed == []
    reached(Checkpoint.BEGUN)
    assert killed == [(os.getpid(), signal.SIGKILL)]


@pytest.mark.parametrize("place", ["", "begun", "begun:", "begun:0", "begun:-1", "begun:x", "a:1"])
def test_a_place_that_is_none_is_refused(place: str) -> None:
    """By name, with the places that there are."""
    with pytest.raises(SettingsError, match=r"crash_at: wants name:n.*before_begin, begun,"):
        crash_at(place)
