import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.policies.budget import RetryBudget
from tests.support.clock import ManualClock


def _taken(budget: RetryBudget, wanted: int = 1_000) -> int:
    return sum(budget.take() for _ in range(wanted))


@pytest.mark.parametrize(("calls", "retries"), [(0, 10), (50, 10), (55, 11), (1_000, 200)])
def test_a_fifth_of_the_calls_may_be_retried(calls: int, retries: int) -> None:
    """And ten always, so that little traffic is not starved."""
    budget = RetryBudget(ManualClock())
    for _ in range(calls):
        budget.called()
    assert _taken(budget) == retries


def test_the_budget_is_that_of_the_last_ten_seconds() -> None:
    """Calls of long ago give no retries any more, and retries of long ago are forgotten."""
    clock = ManualClock()
    budget = RetryBudget(clock)
    for _ in range(100):
        budget.called()
    assert _taken(budget) == 20
    clock.advance(5)
    assert _taken(budget) == 0
    clock.advance(6)
    assert _taken(budget) == 10


def test_an_hour_of_silence_is_forgotten_at_once() -> None:
    """Memory does not grow with the time that has passed."""
    clock = ManualClock()
    budget = RetryBudget(clock)
    for _ in range(5_000):
        budget.called()
        clock.advance(1)
    assert len(budget._slices) <= 12
    clock.advance(3_600)
    assert _taken(budget) == 10
    assert len(budget._slices) == 1


@given(
    steps=st.lists(st.tuples(st.floats(0, 3), st.integers(0, 30), st.integers(0, 30)), max_size=60),
    share=st.sampled_from([0.1, 0.2, 0.5]),
    floor=st.integers(0, 5),
)
def test_no_window_holds_more(
    steps: list[tuple[float, int, int]], share: float, floor: int
) -> None:
    """When a retry is given, those of ten seconds are a share of eleven's calls, or the floor."""
    clock = ManualClock()
    budget = RetryBudget(clock, share, floor)
    calls: list[float] = []
    retries: list[float] = []
    for pause_s, called, wanted in steps:
        clock.advance(pause_s)
        now = clock.monotonic()
        for _ in range(called):
            budget.called()
        calls += [now] * called
        if taken := _taken(budget, wanted):
            retries += [now] * taken
            of_window = sum(now - at < 10 for at in retries)
            assert of_window <= max(floor, share * sum(now - at <= 11 for at in calls))
