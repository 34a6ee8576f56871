from datetime import timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from app.policies.breaker import PROBE_S, Breaker, BreakerOpenError, BreakerState, Passage
from tests.support.clock import ManualClock

MOST = 3
OPEN_S = 10.0


def _breaker(clock: ManualClock | None = None, most: float = MOST) -> Breaker:
    return Breaker(clock or ManualClock(), most, OPEN_S)


def _fail(breaker: Breaker, times: int = 1) -> None:
    for _ in range(times):
        with breaker.admit() as passage:
            passage.failed()


def _succeed(breaker: Breaker, clock: ManualClock | None = None, seconds: float = 0) -> None:
    with breaker.admit() as passage:
        if clock is not None:
            clock.advance(seconds)
        passage.succeeded()


def _wait_of(breaker: Breaker) -> float:
    """Be refused, and give the seconds after which to come again."""
    with pytest.raises(BreakerOpenError) as refused:
        breaker.admit()
    return refused.value.retry_after_s


def test_opens_after_failures_in_a_row() -> None:
    """At the last of them, and not before; then no call passes."""
    breaker = _breaker()
    _fail(breaker, MOST - 1)
    assert (breaker.state, breaker.failures) == (BreakerState.CLOSED, MOST - 1)
    _fail(breaker)
    assert (breaker.state, breaker.failures, breaker.opens) == (BreakerState.OPEN, MOST, 1)
    assert _wait_of(breaker) == OPEN_S


def test_calls_that_are_lost_in_one_crash_are_one_failure() -> None:
    """However many they are; those that begin after it are lost in another."""
    clock = ManualClock()
    breaker = _breaker(clock)
    for crashes in range(1, MOST + 1):
        lost = [breaker.admit() for _ in range(10)]
        clock.advance(1)
        for passage in lost:
            with passage:
                passage.crashed()
        assert breaker.failures == crashes
    assert breaker.state is BreakerState.OPEN


def test_a_success_between_failures_starts_the_row_anew() -> None:
    """Failures count only where none of the calls between them succeeded."""
    breaker = _breaker()
    for _ in range(5):
        _fail(breaker, MOST - 1)
        _succeed(breaker)
    assert (breaker.state, breaker.failures) == (BreakerState.CLOSED, 0)


def test_what_says_nothing_of_its_end_counts_neither_way() -> None:
    """What the caller caused neither opens the breaker nor saves it."""
    breaker = _breaker()
    _fail(breaker, MOST - 1)
    for _ in range(10):
        with breaker.admit():
            pass
    assert breaker.failures == MOST - 1
    _fail(breaker)
    assert breaker.state is BreakerState.OPEN


def test_tells_when_to_come_again() -> None:
    """The time that is left, in seconds and as a time of day."""
    clock = ManualClock()
    breaker = _breaker(clock)
    assert breaker.retry_at is None
    _fail(breaker, MOST)
    clock.advance(4)
    assert _wait_of(breaker) == OPEN_S - 4
    assert breaker.retry_at == clock.now() + timedelta(seconds=OPEN_S - 4)


def test_one_probe_passes_at_a_time() -> None:
    """When the time is over one call passes; the others come again a little later."""
    clock = ManualClock()
    breaker = _breaker(clock)
    _fail(breaker, MOST)
    clock.advance(OPEN_S)
    assert (breaker.state, breaker.retry_at) == (BreakerState.HALF_OPEN, None)
    with breaker.admit():
        assert breaker.state is BreakerState.HALF_OPEN
        assert _wait_of(breaker) == PROBE_S
    breaker.admit()  # the first one said nothing, so another may try


def test_a_probe_that_succeeds_closes() -> None:
    """Every call passes at once."""
    clock = ManualClock()
    breaker = _breaker(clock)
    _fail(breaker, MOST)
    clock.advance(OPEN_S)
    _succeed(breaker)
    assert (breaker.state, breaker.failures, breaker.opens) == (BreakerState.CLOSED, 0, 1)
    _fail(breaker, MOST - 1)
    assert breaker.state is BreakerState.CLOSED


def test_a_probe_that_fails_opens_again() -> None:
    """One failure is enough, and the whole time begins anew."""
    clock = ManualClock()
    breaker = _breaker(clock)
    _fail(breaker, MOST)
    clock.advance(OPEN_S + 5)
    _fail(breaker)
    assert (breaker.state, breaker.opens) == (BreakerState.OPEN, 2)
    assert _wait_of(breaker) == OPEN_S


@pytest.mark.parametrize("succeeds", [True, False])
def test_calls_that_began_before_a_move_have_no_say(*, succeeds: bool) -> None:
    """What was under way when the breaker opened neither closes it nor opens it for longer."""
    clock = ManualClock()
    breaker = _breaker(clock)
    late = breaker.admit()
    _fail(breaker, MOST)
    clock.advance(OPEN_S)
    probe = breaker.admit()
    with late:
        late.succeeded() if succeeds else late.failed()
    assert _wait_of(breaker) == PROBE_S  # the probe is under way still
    probe.succeeded()
    assert breaker.state is BreakerState.CLOSED


def test_a_reset_closes() -> None:
    """Whatever has been, and whatever a probe that is under way will say."""
    clock = ManualClock()
    breaker = _breaker(clock)
    _fail(breaker, MOST)
    clock.advance(OPEN_S)
    probe = breaker.admit()
    breaker.reset()
    assert (breaker.state, breaker.failures, breaker.opens) == (BreakerState.CLOSED, 0, 1)
    probe.failed()
    assert (breaker.state, breaker.failures) == (BreakerState.CLOSED, 0)


@pytest.mark.parametrize(("had_s", "failures"), [(1.9, 0), (2.0, 1), (30.0, 1)])
def test_a_timeout_shorter_than_usual_is_the_callers(had_s: float, failures: int) -> None:
    """It is a failure where the call had as long as calls usually take."""
    clock = ManualClock()
    breaker = _breaker(clock)
    for _ in range(20):
        _succeed(breaker, clock, 2.0)
    with breaker.admit() as passage:
        clock.advance(had_s)
        passage.timed_out()
    assert breaker.failures == failures


@pytest.mark.parametrize(("had_s", "state"), [(0.1, "closed"), (0.2, "open"), (30.0, "open")])
def test_where_nothing_ever_succeeded_a_fifth_of_a_second_is_enough(
    had_s: float, state: str
) -> None:
    """A back-end that hangs from the start is left alone, too; a tiny timeout is the caller's."""
    clock = ManualClock()
    breaker = _breaker(clock)
    for _ in range(MOST):
        with breaker.admit() as passage:
            clock.advance(had_s)
            passage.timed_out()
    assert breaker.state == state


def test_one_without_end_never_opens() -> None:
    """A breaker that no number of failures opens lets every call pass."""
    breaker = _breaker(most=float("inf"))
    _fail(breaker, 1_000)
    assert (breaker.state, breaker.failures) == (BreakerState.CLOSED, 1_000)


def test_states_have_levels() -> None:
    """As the metric counts them."""
    assert {str(state): state.level for state in BreakerState} == {
        "closed": 0,
        "half_open": 1,
        "open": 2,
    }


class BreakerMachine(RuleBasedStateMachine):
    """Calls begin, end and overlap in any order, while time passes; a model says what holds."""

    @initialize()
    def start(self) -> None:
        """Begin closed."""
        self.clock = ManualClock()
        self.breaker = _breaker(self.clock)
        self.under_way: list[tuple[Passage, int]] = []
        self.term = self.failures = 0
        self.open_until: float | None = None
        self.probe: Passage | None = None

    def _moves(self, open_until: float | None) -> None:
        self.term += 1
        self.open_until, self.probe = open_until, None
        if open_until is None:
            self.failures = 0

    @property
    def _is_open(self) -> bool:
        return self.open_until is not None and self.clock.monotonic() < self.open_until

    @rule(seconds=st.sampled_from([0.5, 4.0, OPEN_S]))
    def time_passes(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    @rule()
    def begin(self) -> None:
        """A call passes unless the breaker is open, or probed by another."""
        if self._is_open or self.probe is not None:
            assert 0 < _wait_of(self.breaker) <= OPEN_S
            return
        passage = self.breaker.admit()
        if self.open_until is not None:
            self.probe = passage
        self.under_way.append((passage, self.term))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), end=st.sampled_from(["succeeded", "failed", "silent"]))
    def end(self, data: Any, end: str) -> None:
        """A call ends; only one of the present term has a say."""
        passage, term = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        with passage:
            if end != "silent":
                getattr(passage, end)()
        if term != self.term:
            return
        if passage is self.probe:
            self.probe = None
        if end == "succeeded":
            self.failures = 0
            if self.open_until is not None:
                self._moves(None)
        elif end == "failed":
            self.failures += 1
            if self.open_until is not None or self.failures >= MOST:
                self._moves(self.clock.monotonic() + OPEN_S)

    @rule()
    def reset(self) -> None:
        """An operator closes it."""
        self.breaker.reset()
        self._moves(None)

    @invariant()
    def agrees(self) -> None:
        """The breaker stands where the model does."""
        if self.open_until is None:
            expected = BreakerState.CLOSED
        else:
            expected = BreakerState.OPEN if self._is_open else BreakerState.HALF_OPEN
        assert (self.breaker.state, self.breaker.failures) == (expected, self.failures)


TestBreakerMachine = BreakerMachine.TestCase
