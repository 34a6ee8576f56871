import asyncio
import logging

import pytest

from app.policies.shield import Shield


class Work:
    """Work that begins, waits until it may end, and ends."""

    def __init__(self, failure: BaseException | None = None) -> None:
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.is_done = False
        self._failure = failure

    async def __call__(self) -> str:
        """Do the work."""
        self.begun.set()
        await self.may_end.wait()
        if self._failure is not None:
            raise self._failure
        self.is_done = True
        return "done"


async def turns(count: int = 5) -> None:
    """Let everybody else go on."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_undisturbed_work_gives_its_result() -> None:
    """What the work returns is what its caller gets."""
    work = Work()
    work.may_end.set()
    assert await Shield().uninterrupted(work()) == "done"


async def test_a_failure_of_the_work_climbs() -> None:
    """What the work raises is what its caller gets."""
    failure = ValueError("no")
    work = Work(failure)
    work.may_end.set()
    with pytest.raises(ValueError, match="no") as climbed:
        await Shield().uninterrupted(work())
    assert climbed.value is failure


@pytest.mark.parametrize("times", [1, 2, 5])
async def test_work_outlasts_the_cancellation_of_its_caller(times: int) -> None:
    """The work ends although its caller is cancelled, again and again; then the caller is."""
    work = Work()
    caller = asyncio.create_task(Shield().uninterrupted(work()))
    await work.begun.wait()
    for _ in range(times):
        caller.cancel()
        await turns()
        assert not caller.done()
    work.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert work.is_done
    assert caller.cancelled()


async def test_a_cancellation_in_the_moment_of_the_end_is_not_lost() -> None:
    """A caller that is cancelled just when its work ends is cancelled."""
    work = Work()
    caller = asyncio.create_task(Shield().uninterrupted(work()))
    await work.begun.wait()
    work.may_end.set()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await turns()
    assert work.is_done


async def test_a_timeout_of_the_caller_is_raised_after_the_work() -> None:
    """A timeout around the shield is told to the caller, once the work is done."""
    work = Work()
    caller = asyncio.create_task(asyncio.wait_for(Shield().uninterrupted(work()), 0.001))
    await work.begun.wait()
    asyncio.get_running_loop().call_later(0.02, work.may_end.set)
    with pytest.raises(TimeoutError):
        await caller
    assert work.is_done


async def test_a_failure_that_nobody_waits_for_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The cancellation wins over a failure of the work, which the log keeps with its trace."""
    failure = ValueError("no")
    work = Work(failure)
    caller = asyncio.create_task(Shield().uninterrupted(work()))
    await work.begun.wait()
    caller.cancel()
    await turns()
    work.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert record.exc_info[1] is failure


async def test_work_that_cancels_itself_ends_so(caplog: pytest.LogCaptureFixture) -> None:
    """A cancellation out of the work climbs, with or without one of the caller."""
    work = Work(asyncio.CancelledError())
    caller = asyncio.create_task(Shield().uninterrupted(work()))
    await work.begun.wait()
    caller.cancel()
    await turns()
    work.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    with pytest.raises(asyncio.CancelledError):
        await Shield().uninterrupted(work())
    assert not caplog.records


async def test_drained_waits_for_all_that_is_under_way() -> None:
    """A closing process waits for work of cancelled callers, and for what begins meanwhile."""
    shield = Shield()
    works = [Work(), Work(ValueError("no")), Work()]
    callers = [asyncio.create_task(shield.uninterrupted(work())) for work in works[:2]]
    await asyncio.gather(*(work.begun.wait() for work in works[:2]))
    drained = asyncio.create_task(shield.drained())
    callers[0].cancel()
    works[0].may_end.set()
    await turns()
    assert works[0].is_done
    callers.append(asyncio.create_task(shield.uninterrupted(works[2]())))
    await turns()
    works[1].may_end.set()
    await turns()
    assert not drained.done()
    works[2].may_end.set()
    await drained
    ends = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(end) for end in ends] == [asyncio.CancelledError, ValueError, str]


async def test_nothing_under_way_is_drained() -> None:
    """With nothing to wait for, nothing is waited for."""
    shield = Shield()
    work = Work()
    work.may_end.set()
    await shield.uninterrupted(work())
    await asyncio.wait_for(shield.drained(), 1)
