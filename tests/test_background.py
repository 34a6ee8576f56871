import asyncio
from collections.abc import AsyncIterator
from random import Random

import pytest
from typing_extensions import override

from app.background import FIRST_PAUSE_S, LONGEST_PAUSE_S, Background, Work, repeatedly
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


async def test_a_task_that_waits_to_start_again_is_told(clock: ManualClock) -> None:
    """Until it does; one that is done is nobody's any more."""
    asleep, awake, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    class Waiting(ManualClock):
        @override
        async def sleep(self, seconds: float) -> None:
            asleep.set()
            await awake.wait()

    background = Background(Waiting(), Random(1))  # noqa: S311 - jitter, not secrets
    background.start("endless", asyncio.Event().wait)  # type: ignore[arg-type]
    background.start("stubborn", failing(1, done, clock))
    assert background.running() == {"endless": True, "stubborn": True}
    await asleep.wait()
    assert background.running() == {"endless": True, "stubborn": False}
    awake.set()
    await background._tasks["stubborn"]
    assert background.running() == {"endless": True}
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


async def test_repeated_work_goes_on_whatever_becomes_of_a_round(
    background: Background, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """About the pause comes before each; a bug is logged with its trace, an outage has been."""
    failures: list[Exception | None] = [
        DatabaseUnavailableError("away"),
        OSError("a bug"),
        None,
        OSError("a bug"),
    ]
    done = asyncio.Event()

    async def work() -> None:
        if not failures:
            done.set()
            await asyncio.Event().wait()
        failure = failures.pop(0)
        if failure is not None:
            raise failure

    background.start("rounds", repeatedly(8, work, clock, Random(1)))  # noqa: S311 - jitter
    await done.wait()
    assert len(set(clock.slept)) == len(clock.slept) == 5
    assert all(6 <= pause <= 10 for pause in clock.slept)
    assert caplog.messages == ["a round of repeated work failed; the next one will come"] * 2
    assert all(record.exc_info for record in caplog.records)
