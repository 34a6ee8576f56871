import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenacity import RetryCallState

from app.policies.deadline import Deadline
from app.policies.retry import LONGEST_WAIT_S, RetryPolicy, _failure
from tests.support.clock import ManualClock


class BusyError(Exception):
    """A failure that is worth another try, after `wait_s` where it says so."""

    def __init__(self, wait_s: float | None = None) -> None:
        super().__init__("busy")
        self.wait_s = wait_s


@dataclass
class Trial:
    """A policy at work on a clock that stands still unless it is slept on."""

    max_retries: int = 2
    delay_s: float = 1.0
    deadline_s: float = 1e9
    seed: int = 0
    may_retry: Callable[[BaseException], bool] = lambda _: True
    clock: ManualClock = field(default_factory=ManualClock)
    attempts: int = 0

    async def run(self, *failures: BaseException, takes_s: float = 0.0) -> str:
        """Fail with each of `failures`, then succeed."""
        coming = list(failures)

        async def attempt() -> str:
            self.attempts += 1
            self.clock.advance(takes_s)
            if coming:
                raise coming.pop(0)
            return "done"

        return await self._tried(attempt)

    async def _tried(self, attempt: Callable[[], Awaitable[str]]) -> str:
        policy = RetryPolicy(
            self.max_retries,
            self.delay_s,
            is_worth=lambda failure: isinstance(failure, BusyError),
            asked_wait_s=lambda failure: getattr(failure, "wait_s", None),
            may_retry=self.may_retry,
        )
        deadline = Deadline(self.clock, self.deadline_s)
        random = Random(self.seed)  # noqa: S311 - jitter, not secrets
        return await policy.run(attempt, deadline, self.clock, random)


async def test_a_success_is_not_repeated() -> None:
    """The first success is the answer; nothing is waited for."""
    trial = Trial()
    assert await trial.run() == "done"
    assert (trial.attempts, trial.clock.slept) == (1, [])


@pytest.mark.parametrize("max_retries", [0, 1, 2, 10])
async def test_max_retries_counts_what_follows_the_first_attempt(max_retries: int) -> None:
    """There are `max_retries` + 1 attempts, and the last failure climbs as it is."""
    failures = [BusyError() for _ in range(max_retries + 1)]
    trial = Trial(max_retries)
    with pytest.raises(BusyError) as climbed:
        await trial.run(*failures)
    assert climbed.value is failures[-1]
    assert trial.attempts == max_retries + 1
    assert len(trial.clock.slept) == max_retries


async def test_a_success_after_failures_ends_the_trying() -> None:
    """The retry that succeeds gives the answer."""
    trial = Trial(max_retries=5)
    assert await trial.run(BusyError(), BusyError()) == "done"
    assert trial.attempts == 3


@pytest.mark.parametrize("failure", [ValueError("no"), asyncio.CancelledError(), KeyError("no")])
async def test_what_is_not_worth_it_is_not_repeated(failure: BaseException) -> None:
    """A failure that would come again climbs at once, a cancellation too."""
    trial = Trial()
    with pytest.raises(type(failure)) as climbed:
        await trial.run(failure)
    assert climbed.value is failure
    assert (trial.attempts, trial.clock.slept) == (1, [])


async def test_what_is_not_worth_it_ends_the_retries_too() -> None:
    """A retry that fails for good is the last."""
    trial = Trial(max_retries=5)
    with pytest.raises(ValueError, match="no"):
        await trial.run(BusyError(), ValueError("no"), BusyError())
    assert trial.attempts == 2


@given(
    delay_s=st.floats(min_value=0, max_value=60),
    max_retries=st.integers(min_value=1, max_value=12),
    seed=st.integers(),
)
async def test_waits_lie_within_the_back_off(delay_s: float, max_retries: int, seed: int) -> None:
    """Before retry n, 0 to delay · 2ⁿ⁻¹ seconds are waited, and never over a minute."""
    trial = Trial(max_retries, delay_s, seed=seed)
    await trial.run(*(BusyError() for _ in range(max_retries)))
    for retry, waited in enumerate(trial.clock.slept):
        assert 0 <= waited <= min(delay_s * 2**retry, LONGEST_WAIT_S)


async def test_the_jitter_is_full() -> None:
    """Waits spread over the whole of what is allowed, and chance decides them."""
    waits = []
    for seed in range(400):
        trial = Trial(1, delay_s=8, seed=seed)
        await trial.run(BusyError())
        waits += trial.clock.slept
    assert min(waits) < 0.5
    assert max(waits) > 7.5
    assert 3.5 < sum(waits) / len(waits) < 4.5


async def test_the_same_chance_gives_the_same_waits() -> None:
    """Randomness is an argument: one seed, one sequence."""
    first, second = Trial(5, seed=7), Trial(5, seed=7)
    await first.run(*(BusyError() for _ in range(5)))
    await second.run(*(BusyError() for _ in range(5)))
    assert first.clock.slept == second.clock.slept


@pytest.mark.parametrize(("asked", "waited"), [(0.0, 0.0), (0.25, 0.25), (60, 60), (3_600, 60)])
async def test_a_wait_that_is_asked_for_wins(asked: float, waited: float) -> None:
    """What the failure asks for is waited instead of the back-off, up to a minute."""
    trial = Trial(delay_s=30)
    await trial.run(BusyError(asked))
    assert trial.clock.slept == [waited]


async def test_each_failure_asks_for_itself() -> None:
    """A failure that asks for nothing is followed by the back-off of its place."""
    trial = Trial(max_retries=2, delay_s=1)
    await trial.run(BusyError(10), BusyError())
    assert trial.clock.slept[0] == 10
    assert 0 <= trial.clock.slept[1] <= 2


@pytest.mark.parametrize(
    ("asked", "attempts"),
    [(3.9, 2), (4.0, 1), (50, 1)],
    ids=["before the deadline", "at the deadline", "past the deadline"],
)
async def test_no_wait_leads_past_the_deadline(asked: float, attempts: int) -> None:
    """Where no time would be left after the wait, the failure climbs at once."""
    trial = Trial(max_retries=1, deadline_s=5)
    with pytest.raises(BusyError):
        await trial.run(BusyError(asked), BusyError(asked), takes_s=1)
    assert trial.attempts == attempts
    assert trial.clock.monotonic() <= 5.9


async def test_a_deadline_that_passed_in_an_attempt_ends_the_trying() -> None:
    """An attempt that used the time up is the last, even if nothing is asked to be waited."""
    trial = Trial(max_retries=9, deadline_s=5)
    with pytest.raises(BusyError):
        await trial.run(BusyError(0), takes_s=5)
    assert (trial.attempts, trial.clock.slept) == (1, [])


async def test_the_last_word_is_asked_only_where_there_would_be_a_retry() -> None:
    """It hears the failure, and no wait comes before a refusal."""
    heard: list[BaseException] = []

    def once(failure: BaseException) -> bool:
        heard.append(failure)
        return len(heard) < 2

    failures = [BusyError(), BusyError()]
    trial = Trial(max_retries=9, may_retry=once)
    with pytest.raises(BusyError) as climbed:
        await trial.run(*failures, BusyError())
    assert (climbed.value, heard) == (failures[1], failures)
    assert (trial.attempts, len(trial.clock.slept)) == (2, 1)


async def test_what_has_no_retry_left_takes_none_out_of_any_budget() -> None:
    """The last word is not asked after the last attempt, nor without time, nor for good."""
    heard: list[BaseException] = []

    def never(failure: BaseException) -> bool:
        heard.append(failure)
        return False

    for trial, failure in (
        (Trial(max_retries=0, may_retry=never), BusyError()),
        (Trial(deadline_s=1, may_retry=never), BusyError(5)),
        (Trial(may_retry=never), ValueError("no")),
    ):
        with pytest.raises(type(failure)):
            await trial.run(failure)
    assert heard == []


async def test_two_executions_share_no_state() -> None:
    """Attempts of two runs at once are counted apart."""
    first, second = Trial(max_retries=1), Trial(max_retries=1)
    answers = await asyncio.gather(first.run(BusyError()), second.run(BusyError()))
    assert list(answers) == ["done", "done"]
    assert (first.attempts, second.attempts) == (2, 2)


def test_only_a_failure_is_waited_after() -> None:
    """The wait refuses a state that tenacity never asks it about."""
    with pytest.raises(RuntimeError, match="only a failed attempt is tried again"):
        _failure(RetryCallState(None, None, (), {}))  # type: ignore[arg-type]
