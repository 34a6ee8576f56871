"""A line, on a clock that does not need to be waited for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest
from typing_extensions import override

from app.policies.limiter import WAITED_PART, Limiter, LimitReachedError, Priority, Turn
from app.policies.limits import Limit, Limits
from app.policies.rate import Word
from tests.support.clock import ManualClock
from tests.support.wait import wait_until

BATCH, INTERACTIVE = Priority.BATCH, Priority.INTERACTIVE


class Crowd:
    """Calls that want their turn, and hold it until they are told to leave."""

    def __init__(self, limiter: Limiter) -> None:
        self.limiter = limiter
        self.order: list[str] = []
        self._leaving: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, *names: str, priority: Priority = INTERACTIVE, **of: Any) -> None:
        """Have calls come, one after the other, and let all of them go who may."""
        for name in names:
            self._leaving[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._call(name, priority, of))
            await asyncio.sleep(0)
        await self.settled()

    async def leave(self, *names: str) -> None:
        """Have calls end."""
        for name in names:
            self._leaving[name].set()
        await self.settled()

    async def settled(self) -> None:
        """Return when whatever can go on has gone on."""
        for _ in range(10):
            await asyncio.sleep(0)

    async def _call(self, name: str, priority: Priority, of: dict[str, Any]) -> None:
        spent = of.pop("spent", None)
        async with self.limiter.turn(priority, **of) as turn:
            self.order.append(name)
            await self._leaving[name].wait()
            turn.spent = spent


@pytest.fixture
async def crowds() -> AsyncIterator[list[Crowd]]:
    """Keep the crowds of a test, and have them all go home in the end."""
    kept: list[Crowd] = []
    yield kept
    for crowd in kept:
        for task in crowd.tasks.values():
            task.cancel()
            with suppress(asyncio.CancelledError, LimitReachedError):
                await task
        assert not any(crowd.limiter._line.values())
        assert set(crowd.limiter._in_flight.values()) == {0}
        assert crowd.limiter._waking is None


class StillClock(ManualClock):
    """A clock on which sleepers sleep until a test lets time pass."""

    def __init__(self) -> None:
        super().__init__()
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    @override
    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        woken = asyncio.Event()
        self._sleepers.append((self.monotonic() + seconds, woken))
        await woken.wait()

    @override
    def advance(self, seconds: float) -> None:
        super().advance(seconds)
        for at, woken in self._sleepers:
            if at <= self.monotonic():
                woken.set()


@pytest.fixture
def clock() -> StillClock:
    """A clock that stands still."""
    return StillClock()


def _crowd(crowds: list[Crowd], clock: StillClock, **limits: Any) -> Crowd:
    crowds.append(Crowd(Limiter(clock, Limits(**limits))))
    return crowds[-1]


async def _refusal(limiter: Limiter, wait_s: float = 0.01, **of: Any) -> LimitReachedError:
    """Be refused, with so much time for the wait."""
    of["has_s"] = wait_s / WAITED_PART
    with pytest.raises(LimitReachedError) as refused:
        async with limiter.turn(**of):
            raise AssertionError
    return refused.value


async def test_so_many_go_at_once(crowds: list[Crowd], clock: StillClock) -> None:
    """The others wait, and go in the order of their coming."""
    crowd = _crowd(crowds, clock, max_concurrency=2)
    await crowd.come("a", "b", "c", "d")
    assert crowd.order == ["a", "b"]
    await crowd.leave("b")
    await crowd.leave("a")
    assert crowd.order == ["a", "b", "c", "d"]


async def test_without_limits_all_go(crowds: list[Crowd], clock: StillClock) -> None:
    """Nobody waits for anything."""
    crowd = _crowd(crowds, clock)
    await crowd.come(*"abcdefgh", tokens=10**9)
    assert crowd.order == list("abcdefgh")


async def test_interactive_calls_go_first(crowds: list[Crowd], clock: StillClock) -> None:
    """However long batches have been waiting."""
    crowd = _crowd(crowds, clock, max_concurrency=1)
    await crowd.come("first")
    await crowd.come("batch 1", "batch 2", priority=BATCH)
    await crowd.come("a", "b")
    await crowd.leave("first", "a", "b", "batch 1")
    assert crowd.order == ["first", "a", "b", "batch 1", "batch 2"]


async def test_a_share_is_kept_free_of_batches(crowds: list[Crowd], clock: StillClock) -> None:
    """Where only batches are at work, some slots are left for who comes."""
    crowd = _crowd(crowds, clock, max_concurrency=5, interactive_share=0.4)
    await crowd.come("1", "2", "3", "4", "5", priority=BATCH)
    assert crowd.order == ["1", "2", "3"]
    await crowd.come("a", "b", "c")
    assert crowd.order == ["1", "2", "3", "a", "b"]
    await crowd.leave("1")
    assert crowd.order[5:] == ["c"]
    await crowd.leave("a")
    assert crowd.order[6:] == ["4"]


async def test_a_wait_for_a_slot_is_bounded(clock: StillClock) -> None:
    """Nobody knows when one comes free, so nothing is said of it."""
    limiter = Limiter(clock, Limits(max_concurrency=1))
    async with limiter.turn():
        refusal = await _refusal(limiter, wait_s=0.01)
        assert (refusal.limit, refusal.retry_after_s) == (Limit.CONCURRENCY, None)
    async with limiter.turn():
        pass


async def test_whoever_somebody_waits_for_gives_up_earlier(clock: StillClock) -> None:
    """A batch waits as long as its call has time."""
    limiter = Limiter(clock, Limits(requests_per_minute=1, max_wait_s=50))
    async with limiter.turn():
        assert (await _refusal(limiter, wait_s=1_000)).retry_after_s == 60
        batch = asyncio.create_task(_refusal(limiter, wait_s=1_000, priority=BATCH))
        await wait_until(lambda: bool(clock.slept))
        batch.cancel()
        await asyncio.wait({batch})
    assert (batch.cancelled(), limiter._waking) == (True, None)


async def test_who_waits_behind_others_is_refused_too(
    crowds: list[Crowd], clock: StillClock
) -> None:
    """A batch that could go by itself waits for who is before it."""
    crowd = _crowd(crowds, clock, tokens_per_minute=100)
    await crowd.come("a", tokens=60)
    await crowd.come("b", tokens=60)
    refusal = await _refusal(crowd.limiter, priority=BATCH, tokens=10, wait_s=0.01)
    assert (refusal.limit, crowd.order) == (Limit.CONCURRENCY, ["a"])


async def test_who_goes_away_leaves_the_line(crowds: list[Crowd], clock: StillClock) -> None:
    """A call that is cancelled while it waits lets the next one go in its place."""
    crowd = _crowd(crowds, clock, max_concurrency=1)
    await crowd.come("a", "b", "c")
    crowd.tasks["b"].cancel()
    await crowd.leave("a")
    assert crowd.order == ["a", "c"]


async def test_a_turn_that_comes_while_its_call_is_cancelled_is_given_on(
    crowds: list[Crowd], clock: StillClock
) -> None:
    """No slot is lost, whichever comes first."""
    crowd = _crowd(crowds, clock, max_concurrency=1)
    await crowd.come("a", "b", "c")
    crowd._leaving["a"].set()
    await wait_until(crowd.tasks["a"].done)
    crowd.tasks["b"].cancel()
    await crowd.settled()
    assert crowd.order[-1] == "c"


async def test_a_call_that_fails_gives_its_turn_back(clock: StillClock) -> None:
    """As one that succeeds does."""
    limiter = Limiter(clock, Limits(max_concurrency=1))
    for _ in range(3):
        with pytest.raises(KeyError):
            async with limiter.turn(has_s=0.1):
                raise KeyError


async def test_requests_of_a_minute_are_limited(crowds: list[Crowd], clock: StillClock) -> None:
    """The next one goes when the oldest is a minute ago, by itself."""
    crowd = _crowd(crowds, clock, requests_per_minute=2)
    await crowd.come("a")
    clock.advance(20)
    await crowd.come("b", "c", "d")
    await crowd.leave("a", "b")
    assert (crowd.order, clock.slept) == (["a", "b"], [40])
    clock.advance(40)
    await crowd.settled()
    assert (crowd.order, clock.slept) == (["a", "b", "c"], [40, 20])


async def test_tokens_of_a_minute_are_limited(crowds: list[Crowd], clock: StillClock) -> None:
    """By what a call is thought to spend, until it is known what it spent."""
    crowd = _crowd(crowds, clock, tokens_per_minute=100)
    await crowd.come("a", tokens=60, spent=20)
    await crowd.come("b", tokens=80)
    assert crowd.order == ["a"]
    await crowd.leave("a")
    assert crowd.order == ["a", "b"]


async def test_a_turn_that_would_come_too_late_is_refused_at_once(clock: StillClock) -> None:
    """With the time after which it would have come."""
    limiter = Limiter(clock, Limits(requests_per_minute=1))
    async with limiter.turn():
        clock.advance(15)
        refusal = await _refusal(limiter, wait_s=44)
        assert (refusal.limit, refusal.retry_after_s) == (Limit.REQUESTS, 45)
        refusal = await _refusal(limiter, wait_s=44, priority=BATCH)
        assert (refusal.limit, refusal.retry_after_s) == (Limit.REQUESTS, 45)


async def test_a_server_that_asks_for_a_pause_gets_it(
    crowds: list[Crowd], clock: StillClock
) -> None:
    """From all calls, up to a minute; a shorter one does not end a longer one."""
    crowd = _crowd(crowds, clock)
    crowd.limiter.pause(30)
    crowd.limiter.pause(5)
    await crowd.come("a")
    assert (crowd.order, clock.slept) == ([], [30])
    clock.advance(30)
    await crowd.settled()
    assert crowd.order == ["a"]
    crowd.limiter.pause(1e9)
    refusal = await _refusal(crowd.limiter, wait_s=1)
    assert (refusal.limit, refusal.retry_after_s) == (Limit.SERVER, 60)


async def test_the_word_of_a_server_is_kept_to(crowds: list[Crowd], clock: StillClock) -> None:
    """On requests and on tokens; what it says of neither changes neither."""
    crowd = _crowd(crowds, clock)
    crowd.limiter.hear(Word(remaining=1, reset_s=5), None)
    await crowd.come("a", "b")
    assert crowd.order == ["a"]
    clock.advance(5)
    await crowd.settled()
    assert crowd.order == ["a", "b"]
    crowd.limiter.hear(Word(remaining=99, reset_s=5), Word(remaining=50, reset_s=7))
    refusal = await _refusal(crowd.limiter, tokens=51, wait_s=1)
    assert (refusal.limit, refusal.retry_after_s) == (Limit.TOKENS, 7)


async def test_a_nearer_time_is_woken_for(crowds: list[Crowd], clock: StillClock) -> None:
    """Who comes first in line may have to wait for less than who was there."""
    crowd = _crowd(crowds, clock, tokens_per_minute=100)
    await crowd.come("a", tokens=30)
    clock.advance(10)
    await crowd.come("b", tokens=50)
    await crowd.come("batch", tokens=90, priority=BATCH)
    await crowd.come("c", tokens=40)
    assert clock.slept == [60, 50]
    clock.advance(50)
    await crowd.settled()
    assert crowd.order == ["a", "b", "c"]


async def test_new_limits_hold_at_once(crowds: list[Crowd], clock: StillClock) -> None:
    """Wider ones let calls go, narrower ones wait for those that have gone."""
    crowd = _crowd(crowds, clock, max_concurrency=1)
    await crowd.come("a", "b", "c", "d")
    crowd.limiter.set(Limits(max_concurrency=3))
    await crowd.settled()
    assert crowd.order == ["a", "b", "c"]
    crowd.limiter.set(Limits(max_concurrency=1))
    await crowd.leave("a", "b")
    assert crowd.order == ["a", "b", "c"]
    await crowd.leave("c")
    assert crowd.order == ["a", "b", "c", "d"]


async def test_a_thousand_calls_never_are_too_many(clock: StillClock) -> None:
    """Under load with cancellations, no more than the limit are in, and all get their turn."""
    limiter = Limiter(clock, Limits(max_concurrency=7, interactive_share=0.2))
    inside: set[Turn] = set()
    most = 0

    async def call(number: int) -> None:
        nonlocal most
        priority = BATCH if number % 3 else INTERACTIVE
        async with limiter.turn(priority) as turn:
            inside.add(turn)
            most = max(most, len(inside))
            for _ in range(number % 5):
                await asyncio.sleep(0)
            inside.discard(turn)

    tasks = [asyncio.create_task(call(number)) for number in range(1_000)]
    await asyncio.sleep(0)
    for task in tasks[::10]:
        task.cancel()
    async with AsyncExitStack() as stack:
        stack.callback(inside.clear)
        await asyncio.wait(tasks)
    assert most <= 7
    assert sum(not task.cancelled() for task in tasks) >= 900
    assert set(limiter._in_flight.values()) == {0}
