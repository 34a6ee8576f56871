import asyncio
from collections.abc import AsyncIterator
from random import Random

import pytest
from typing_extensions import override

from app.background import FIRST_PAUSE_S, LONGEST_PAUSE_S, Background, Work, every, repeatedly
from app.errors import DatabaseUnavailableError
from tests.support.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still unless it is slept on."""
    return ManualClock()


@pytest.fixture
async def background(clock: ManualClock) -> AsyncIterator[Background]:
    """A supervisor, closed after the test."""
    background = Background(clock, Random(1))  # noqa: S311 - jitter, not secrets
    yield background
    await background.close()


def failing(times: int, done: asyncio.Event, clock: ManualClock, takes_s: float = 0) -> Work:
    """Make work that fails so many times before it is done, each time after `takes_s`."""
    left = [times]

    async def work() -> None:
        clock.advance(takes_s)
        if left[0]:
            left[0] -= 1
            raise OSError("away")
        done.set()

    return work


async def test_a_task_that_returns_is_done(background: Background, clock: ManualClock) -> None:
    """Work that ends is not started again."""
    done = asyncio.Event()
    background.start("once", failing(0, done, clock))
    assert not background.is_done("once")
    await done.wait()
    await asyncio.sleep(0)
    assert background.is_done("once")
    assert clock.slept == []


async def test_a_task_that_fails_starts_again_after_growing_pauses(
    background: Background, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Pauses double from a second to a minute, half of each left to chance; each is logged."""
    done = asyncio.Event()
    background.start("stubborn", failing(9, done, clock))
    await done.wait()
    assert len(clock.slept) == 9
    ceiling = FIRST_PAUSE_S
    for pause in clock.slept:
        assert ceiling / 2 <= pause <= ceiling
        ceiling = min(ceiling * 2, LONGEST_PAUSE_S)
    messages = [record.getMessage() for record in caplog.records]
    assert messages == ["the task stubborn failed; it starts again"] * 9
    assert all(record.exc_info for record in caplog.records)


async def test_a_task_that_was_well_for_long_starts_again_soon(
    background: Background, clock: ManualClock
) -> None:
    """A failure after a long good time is paused after like the first."""
    done = asyncio.Event()
    background.start("now and then", failing(9, done, clock, takes_s=3_600))
    await done.wait()
    assert max(clock.slept) <= FIRST_PAUSE_S


async def test_two_tasks_have_two_names(background: Background, clock: ManualClock) -> None:
    """A name that is taken is refused, be its task done or not."""
    background.start("one", failing(0, asyncio.Event(), clock))
    with pytest.raises(ValueError, match="there is a task one already"):
        background.start("one", failing(0, asyncio.Event(), clock))


async def test_close_ends_what_still_runs(clock: ManualClock) -> None:
    """Closing cancels the tasks and returns when they have cleaned up."""
    background = Background(clock, Random(1))  # noqa: S311 - jitter, not secrets
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.set()

    background.start("endless", work)
    await begun.wait()
    await background.close()
    assert ended.is_set()
    assert background.is_done("endless")
    await background.close()


async def test_close_ends_a_pause(clock: ManualClock) -> None:
    """A task that waits to start again is ended like one that works."""
    asleep = asyncio.Event()

    class Waiting(ManualClock):
        @override
        async def sleep(self, seconds: float) -> None:
            asleep.set()
            await asyncio.Event().wait()

    background = Background(Waiting(), Random(1))  # noqa: S311 - jitter, not secrets
    background.start("stubborn", failing(9, asyncio.Event(), clock))
    await asleep.wait()
    await background.close()
    assert background.is_done("stubborn")


async def test_work_is_repeated_after_a_pause_each_time(clock: ManualClock) -> None:
    """`every` pauses before each round, and lets a failure climb."""
    rounds: list[float] = []

    async def work() -> None:
        rounds.append(clock.monotonic())
        clock.advance(1)
        if len(rounds) == 3:
            raise OSError("away")

    with pytest.raises(OSError, match="away"):
        await every(10, work, clock)()
    assert rounds == [10, 21, 32]


async def test_an_outage_is_no_failure_of_repeated_work(clock: ManualClock) -> None:
    """It goes on at its pace while the database is away; whatever else fails climbs."""
    failures = [DatabaseUnavailableError("away"), None, OSError("a bug")]

    async def work() -> None:
        failure = failures.pop(0)
        if failure is not None:
            raise failure

    random = Random(1)  # noqa: S311 - jitter, not secrets
    with pytest.raises(OSError, match="a bug"):
        await repeatedly(8, work, clock, random)()
    assert len(set(clock.slept)) == 3
    assert all(6 <= pause <= 10 for pause in clock.slept)
