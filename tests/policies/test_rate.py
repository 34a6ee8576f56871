import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.policies.limits import Limits
from app.policies.rate import SPAN_S, TOLERANCE_S, Rate, Word
from tests.support.clock import ManualClock


def _rate(limit: int | None, clock: ManualClock | None = None, share: float = 0.2) -> Rate:
    rate = Rate(clock or ManualClock())
    rate.set(limit, Limits(interactive_share=share).of_batches)
    return rate


def test_without_a_limit_nothing_waits() -> None:
    """And nothing is kept of what was done."""
    rate = _rate(None)
    for _ in range(1_000):
        assert rate.wait_s(10**9, is_batch=True) == 0
        rate.use(10**9, is_batch=True)
    assert not rate._entries


def test_waits_until_enough_is_a_minute_ago() -> None:
    """The oldest make room first, and no sooner than needed."""
    clock = ManualClock()
    rate = _rate(10, clock)
    for amount in (4, 3, 3):
        rate.use(amount, is_batch=False)
        clock.advance(10)
    assert [rate.wait_s(amount, is_batch=False) for amount in (1, 4, 5, 10)] == [30, 30, 40, 50]
    clock.advance(30)
    assert [rate.wait_s(amount, is_batch=False) for amount in (1, 4, 5)] == [0, 0, 10]


def test_more_than_the_whole_limit_goes_alone() -> None:
    """What never fits is not kept waiting for ever."""
    clock = ManualClock()
    rate = _rate(10, clock)
    assert rate.wait_s(50, is_batch=False) == 0
    rate.use(50, is_batch=False)
    assert rate.wait_s(1, is_batch=False) == SPAN_S
    clock.advance(SPAN_S)
    rate.use(1, is_batch=False)
    assert rate.wait_s(50, is_batch=False) == SPAN_S


def test_batches_leave_a_share_free() -> None:
    """They wait for each other, not for what others did, where that leaves them room."""
    clock = ManualClock()
    rate = _rate(10, clock)
    rate.use(8, is_batch=True)
    assert (rate.wait_s(1, is_batch=True), rate.wait_s(2, is_batch=False)) == (SPAN_S, 0)
    clock.advance(SPAN_S)
    rate.use(2, is_batch=False)
    assert (rate.wait_s(8, is_batch=True), rate.wait_s(9, is_batch=True)) == (0, SPAN_S)


def test_amounts_are_corrected() -> None:
    """What was thought is replaced by what was spent; long ago it changes nothing."""
    clock = ManualClock()
    rate = _rate(10, clock)
    entry = rate.use(10, is_batch=True)
    rate.correct(entry, 3)
    assert (rate.wait_s(7, is_batch=False), rate.wait_s(8, is_batch=False)) == (0, SPAN_S)
    clock.advance(SPAN_S)
    assert rate.wait_s(10, is_batch=False) == 0
    rate.correct(entry, 1_000)
    assert rate.wait_s(10, is_batch=False) == 0


def test_a_new_limit_holds_at_once() -> None:
    """What was done before counts against it."""
    rate = _rate(10)
    rate.use(6, is_batch=False)
    rate.set(5, Limits().of_batches)
    assert rate.wait_s(1, is_batch=False) == SPAN_S
    rate.set(7, Limits().of_batches)
    assert rate.wait_s(1, is_batch=False) == 0


def test_the_word_of_a_server_is_kept_to() -> None:
    """What it still takes goes down with use; nothing more until it said there would be more."""
    clock = ManualClock()
    rate = _rate(None, clock)
    rate.hear(Word(remaining=2, reset_s=7))
    for wait_s in (0, 0, 7):
        assert rate.wait_s(1, is_batch=False) == wait_s
        rate.use(1, is_batch=False)
    clock.advance(3)
    assert rate.wait_s(1, is_batch=False) == 4
    clock.advance(4)
    assert rate.wait_s(1, is_batch=False) == 0


def test_the_last_word_of_a_server_wins() -> None:
    """And none is kept to for longer than a minute: then it is asked again."""
    clock = ManualClock()
    rate = _rate(None, clock)
    rate.hear(Word(remaining=0, reset_s=86_400))
    assert rate.wait_s(1, is_batch=False) == 60
    rate.hear(Word(remaining=5, reset_s=1))
    assert (rate.wait_s(5, is_batch=False), rate.wait_s(6, is_batch=False)) == (0, 1)


@given(wanted=st.lists(st.tuples(st.floats(0, 30), st.integers(1, 10), st.booleans()), max_size=50))
def test_no_minute_holds_more_than_the_limit(wanted: list[tuple[float, int, bool]]) -> None:
    """Whoever waits as long as told finds room, and no sooner; batches keep to their part."""
    clock = ManualClock()
    limit, of_batches = 20, 16
    rate = _rate(limit, clock)
    done: list[tuple[float, int, bool]] = []

    def sums() -> tuple[int, int]:
        recent = [one for one in done if one[0] > clock.monotonic() - SPAN_S + TOLERANCE_S]
        return sum(one[1] for one in recent), sum(one[1] for one in recent if one[2])

    for pause_s, amount, is_batch in wanted:
        clock.advance(pause_s)
        wait_s = rate.wait_s(amount, is_batch=is_batch)
        if wait_s > TOLERANCE_S:
            clock.advance(wait_s * 0.999 - TOLERANCE_S)
            of_all, of_batch = sums()
            is_room = of_all + amount <= limit and not (is_batch and of_batch + amount > of_batches)
            assert not is_room or wait_s < 0.01
            clock.advance(wait_s * 0.001 + TOLERANCE_S)
        assert rate.wait_s(amount, is_batch=is_batch) == pytest.approx(0, abs=TOLERANCE_S)
        rate.use(amount, is_batch=is_batch)
        done.append((clock.monotonic(), amount, is_batch))
        of_all, of_batch = sums()
        assert of_all <= limit
        assert not is_batch or of_batch <= of_batches
