import pytest

from app.policies.deadline import Deadline
from tests.support.clock import ManualClock


def test_what_is_left_shrinks_to_nothing() -> None:
    """What is left goes down with time and never below 0."""
    clock = ManualClock()
    clock.advance(100)
    deadline = Deadline(clock, 10)
    assert deadline.remaining_s == 10
    clock.advance(7.5)
    assert deadline.remaining_s == 2.5
    clock.advance(7.5)
    assert deadline.remaining_s == 0


@pytest.mark.parametrize(("wanted", "given"), [(1, 1), (4, 4), (5, 4), (float("inf"), 4)])
def test_a_duration_is_cut_to_what_is_left(wanted: float, given: float) -> None:
    """A duration longer than what is left becomes what is left."""
    assert Deadline(ManualClock(), 4).cap(wanted) == given


def test_a_deadline_of_nothing_is_over() -> None:
    """With no time at all, nothing is left from the start."""
    assert Deadline(ManualClock(), 0).cap(1) == 0
