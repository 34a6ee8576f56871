import pytest

from app.policies.usual_time import KEPT, UsualTime


@pytest.mark.parametrize(
    ("durations", "usual"),
    [([], None), ([3], 3), ([1, 2], 2), ([1] * 95 + [9] * 5, 1), ([1] * 94 + [9] * 6, 9)],
)
def test_19_of_20_are_done_within_it(durations: list[float], usual: float | None) -> None:
    """The smallest time within which 95 of 100 were done; nothing is said where nothing was."""
    time = UsualTime()
    for seconds in durations:
        time.add(seconds)
    assert time.p95_s == usual


def test_only_the_last_durations_count() -> None:
    """What was long ago is forgotten, and memory does not grow."""
    time = UsualTime()
    for seconds in (100, *[1] * KEPT):
        time.add(seconds)
    assert time.p95_s == 1


@pytest.mark.parametrize(("count", "p95_s"), [(19, None), (20, 19), (100, 95), (1_000, 995)])
def test_says_nothing_before_it_knows_enough(count: int, p95_s: float | None) -> None:
    """As many as are needed have to have been done; of many, the last hundred are looked at."""
    time = UsualTime(needed=20)
    for seconds in range(1, count + 1):
        time.add(seconds)
    assert time.p95_s == p95_s
