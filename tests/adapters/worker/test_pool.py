"""The pool: who gets which child, who waits, who is refused, and when children are replaced."""

import asyncio
from typing import Any

import psutil
import pytest

from app.adapters.errors import AdapterError, ErrorType
from app.adapters.usage import Usage
from app.adapters.worker.children import Child
from app.adapters.worker.limits import Patience
from app.adapters.worker.pool import WATCH_S, ChildPool
from app.policies.limits import Limits
from app.telemetry.metrics import Metrics
from tests.adapters.programs import a_call, a_program
from tests.adapters.worker.pools import (
    PROGRAM,
    a_pool,
    ask,
    crash_of,
    pids,
    saying,
    scripted,
    the_child,
)
from tests.support.clock import SteppedClock
from tests.support.wait import wait_until, wait_until_so


def asking(pool: ChildPool, word: str) -> "asyncio.Task[Any]":
    """Run the program with a word, in the background."""
    return asyncio.create_task(ask(pool, word))


async def pid_of(pool: ChildPool) -> int:
    """Give the id of the process that answers the next call."""
    return int((await ask(pool, "pid")).outputs["answer"])


async def until_full(pool: ChildPool, calls: int) -> None:
    """Wait until so many calls are in flight."""
    await wait_until(lambda: sum(child.in_flight for child in pool._alive) == calls)


async def test_calls_go_to_the_least_busy_child() -> None:
    """And among equals to the one that has answered least."""
    async with a_pool(scripted(), processes=2) as pool:
        await wait_until_ready(pool, 2)
        assert len({await pid_of(pool) for _ in range(2)}) == 2
        held = asking(pool, "hold")
        await until_full(pool, 1)
        assert len({await pid_of(pool) for _ in range(4)}) == 1
        held.cancel()
        await asyncio.wait([held])


async def wait_until_ready(pool: ChildPool, count: int) -> None:
    """Wait until so many children take calls."""
    pool.start()
    await wait_until(lambda: len(pool._open_children()) == count)


async def test_a_child_has_no_more_calls_in_flight_than_it_may() -> None:
    """What is over the limit waits its turn, first come, first served."""
    async with a_pool(scripted(), concurrency=2) as pool:
        held = [asking(pool, "hold") for _ in range(2)]
        await until_full(pool, 2)
        ended: list[asyncio.Future[Any]] = []
        waiting = [asking(pool, word) for word in ("release", "second", "third")]
        for call in waiting:
            call.add_done_callback(ended.append)
        await asyncio.sleep(0)
        assert len(pool._waiting) == 3
        held[0].cancel()
        await asyncio.wait([*held, *waiting])
    assert ended == waiting
    assert held[1].result().outputs == {"answer": "released"}


async def test_who_is_cancelled_while_waiting_gives_the_turn_on() -> None:
    """Whether the turn has come already or not."""
    async with a_pool(scripted()) as pool:
        waiting = [asyncio.create_task(pool._change()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.wait(waiting[:1])
        pool._wake_next()
        waiting[1].cancel()
        await asyncio.wait(waiting)
        assert [one.cancelled() for one in waiting] == [True, True, False]
        pool._wake_next()  # nobody


async def test_a_child_in_doubt_gets_no_new_calls() -> None:
    """Not until it has answered for the call that was stopped; others take them."""
    async with a_pool(scripted(), processes=2) as pool:
        await wait_until_ready(pool, 2)
        slow = asking(pool, "slow to stop")
        await until_full(pool, 1)
        (doubted,) = [child for child in pool._alive if child.in_flight]
        slow.cancel()
        await asyncio.wait([slow])
        assert doubted.is_in_doubt
        assert doubted.pid not in {await pid_of(pool) for _ in range(4)}
        await wait_until(lambda: not doubted.is_in_doubt)
        assert doubted.pid in {await pid_of(pool) for _ in range(6)}


async def test_calls_wait_for_the_only_child_to_be_beyond_doubt() -> None:
    """They are not lost with it, and come to their turn as soon as it has answered."""
    async with a_pool(scripted()) as pool:
        slow = asking(pool, "slow to stop")
        await until_full(pool, 1)
        child = await the_child(pool)
        slow.cancel()
        assert await pid_of(pool) == child.pid


@pytest.mark.parametrize("ends", ["cancelled", "released"])
async def test_the_wait_for_a_place_is_told(ends: str) -> None:
    """Of a call that got none as well: its child is not to be blamed for that time."""
    clock = SteppedClock()
    async with a_pool(scripted(), clock=clock, concurrency=1) as pool:
        held = asking(pool, "hold")
        await until_full(pool, 1)
        call = saying("well")
        waiting = asyncio.create_task(pool.execute(call))
        await wait_until(lambda: len(pool._waiting) == 1)
        clock.advance(3.0)
        (waiting if ends == "cancelled" else held).cancel()
        await asyncio.wait([waiting])
        held.cancel()
        await asyncio.wait([held])
    assert call.told.waited_s == 3.0


async def test_children_that_end_without_an_answer_are_waited_after() -> None:
    """Twice as long each time; meanwhile calls fail at once, and say how long."""
    clock, before = SteppedClock(), pids()
    async with a_pool(scripted("exit"), clock=clock) as pool:
        waits = []
        for _ in range(9):
            for refused in [await crash_of(pool, "well") for _ in range(2)]:
                assert refused.type is ErrorType.WORKER_CRASHED
                assert refused.message == "The child process ended with exit code 0."
            assert pids() <= before
            assert refused.retry_after is not None
            waits.append(refused.retry_after)
            clock.advance(refused.retry_after + 0.001)
            await wait_until(lambda: pool._slots[0].crash is None)
    for number, wait_s in enumerate(waits):
        longest = min(0.25 * 2**number, 30.0)
        assert longest / 2 <= wait_s <= longest


async def test_a_child_that_has_answered_is_replaced_at_once() -> None:
    """However often: the next call waits for its successor."""
    async with a_pool(scripted(), clock=SteppedClock()) as pool:
        for _ in range(5):
            await ask(pool, "well")
            await crash_of(pool, "exit")


async def test_one_child_goes_on_while_the_other_is_away() -> None:
    """A crash takes only the calls of its own child."""
    async with a_pool(scripted(), processes=2) as pool:
        await wait_until_ready(pool, 2)
        held = asking(pool, "hold")
        await until_full(pool, 1)
        await crash_of(pool, "kill")
        assert (await ask(pool, "well")).outputs
        assert not held.done()
        held.cancel()
        await asyncio.wait([held])


async def test_a_child_is_replaced_after_so_many_answers() -> None:
    """It finishes what it has begun, and nobody is told anything."""
    async with a_pool(scripted(), recycle_requests=3) as pool:
        held = asking(pool, "hold")
        await until_full(pool, 1)
        first = await the_child(pool)
        assert {await pid_of(pool) for _ in range(3)} == {first.pid}
        await wait_until(lambda: not first.is_open)
        assert await pid_of(pool) != first.pid
        assert psutil.pid_exists(first.pid)
        assert not held.done()
        held.cancel()
        await asyncio.wait([held])
        await first.gone()
        assert not psutil.pid_exists(first.pid)


async def test_a_child_that_crashes_while_its_successor_starts_is_no_loss() -> None:
    """Its calls are told; the next ones go to the successor."""
    async with a_pool(scripted(), recycle_requests=1) as pool:
        held = asking(pool, "hold")
        await until_full(pool, 1)
        first = await the_child(pool)
        await ask(pool, "well")
        psutil.Process(first.pid).kill()
        with pytest.raises(AdapterError, match="was ended by signal 9"):
            await held
        assert await pid_of(pool) != first.pid


async def test_children_are_replaced_one_after_the_other() -> None:
    """So that not all start at once, nor all memory is needed twice."""
    async with a_pool(scripted(), processes=3, recycle_requests=2) as pool:
        await wait_until_ready(pool, 3)
        first = set(pool._alive)
        most = 0
        while any(child.is_open for child in first):
            await ask(pool, "well")
            most = max(most, sum(is_starting(child) for child in pool._alive))
    assert most == 1


def is_starting(child: Child) -> bool:
    """Tell whether the process of a child runs, and has not said hello."""
    return child._life is not None and not child._hello.done()


async def test_a_child_that_holds_too_much_memory_is_replaced() -> None:
    """Once it has settled; the first look comes a second after its start."""
    patience = Patience(settling_s=0.0)
    async with a_pool(scripted(), recycle_megabytes=1, patience=patience) as pool:
        first = await pid_of(pool)
        await wait_until(lambda: not psutil.pid_exists(first))
        assert await pid_of(pool) != first
    async with a_pool(scripted(), recycle_megabytes=1_000, patience=patience) as pool:
        child = await the_child(pool)
        child.watch(1.0)
        assert not child._used_up.done()


async def test_a_child_is_used_up_once() -> None:
    """However often its memory is looked at until it is replaced."""
    async with a_pool(scripted(), recycle_megabytes=1, patience=Patience(settling_s=0.0)) as pool:
        child = await the_child(pool)
        child.watch(1.0)
        child.watch(1.0)
        assert child._used_up.done()


async def test_a_child_that_is_gone_holds_no_memory_and_runs_nothing() -> None:
    """Nobody else's memory is taken for its own; who still has it is told of its crash."""
    async with a_pool(scripted()) as pool:
        child = await the_child(pool)
        await crash_of(pool, "exit")
        await child.gone()
        assert child._process.rss() == 0
        with pytest.raises(AdapterError) as refused:
            await child.execute(saying("well"))
        assert refused.value.type is ErrorType.WORKER_CRASHED
        child.retire()


async def test_what_was_spent_before_a_crash_is_told() -> None:
    """In the error, in the attempt, and in the metrics."""
    metrics = Metrics()
    async with a_pool(scripted(), metrics=metrics) as pool:
        call = saying("spend and die")
        with pytest.raises(AdapterError) as caught:
            await pool.execute(call)
    assert caught.value.usage == call.told.usage == Usage(10, 14, 24, 2)
    page = metrics.page("")[0].decode()
    assert 'dspatch_lm_calls_total{lm="main",outcome="success"} 3.0' in page
    assert 'dspatch_lm_tokens_total{direction="prompt",lm="main"} 15.0' in page


async def test_what_a_stopped_call_has_spent_is_told() -> None:
    """As the child says it."""
    async with a_pool(scripted()) as pool:
        call = saying("hold")
        held = asyncio.ensure_future(pool.execute(call))
        await until_full(pool, 1)
        await ask(pool, "well")
        held.cancel()
        await asyncio.wait([held])
    assert call.told.usage.lm_calls == 3


async def test_traces_come_back_with_the_answer() -> None:
    """Where they are asked for."""
    async with a_pool(scripted()) as pool:
        call = a_call(PROGRAM, question="trace")
        await pool.execute(call)
        assert call.trace is None
        traced = saying("trace", trace=[])
        await pool.execute(traced)
        assert traced.trace == [{"lm": "main"}]


async def test_a_pool_that_is_closed_while_its_children_start_leaves_none() -> None:
    """At whatever point of the start; and takes no calls afterwards."""
    for steps in (0, 1, 3, 10, 30, 100):
        async with a_pool(scripted("hang")) as pool:
            waiting = asking(pool, "well")
            for _ in range(steps):
                await asyncio.sleep(0)
            await pool.close()
            with pytest.raises(AdapterError, match="stopped"):
                await waiting
    async with a_pool(scripted()) as pool:
        pool.start()
        await pool.close()
        await pool.close()


async def test_children_are_told_their_part_of_the_limits() -> None:
    """Once where it has not changed; one that is started later is told it, too."""
    clock = SteppedClock()
    async with a_pool(scripted(), clock=clock) as pool:
        await ask(pool, "hello")
        for most in (8, 8, 4):
            pool.limit({"main": Limits(max_concurrency=most)})
        assert (await ask(pool, "limits")).outputs == {"answer": "[8, 4]"}
        await crash_of(pool, "exit")

        async def is_told() -> bool:
            clock.advance(WATCH_S)
            return (await ask(pool, "limits")).outputs == {"answer": "[4]"}

        await wait_until_so(is_told)


async def test_counts_the_children_that_hold_a_program_of_an_lm() -> None:
    """Those that have run it, or made it ready, and have not been told to forget it."""
    async with a_pool(scripted(), processes=2) as pool:
        await wait_until_ready(pool, 2)
        assert pool.lm_children() == {}
        await pool.prepare(PROGRAM)
        assert pool.lm_children() == {"main": 1}
        await pid_of(pool)
        await pid_of(pool)
        assert pool.lm_children() == {"main": 2}
        await pool.prepare(a_program(config={"lm": "unknown"}))
        pool.forget(PROGRAM.program_id)
        assert pool.lm_children() == {}
