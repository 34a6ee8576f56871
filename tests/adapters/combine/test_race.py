"""Races: who is called when, who wins, and what is told of those that lose."""

import asyncio
from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from app.adapters.base import ProgramCall, ProgramResult
from app.adapters.combine.combination import NEEDED
from app.adapters.combine.race import OVERTAKEN, Fastest, Hedged
from app.adapters.errors import ErrorType
from app.adapters.usage import Usage
from app.policies.deadline import Deadline
from tests.adapters.combine.combining import Hang, combined, fails, failure_of, says, told
from tests.adapters.programs import a_call, a_program
from tests.support.adapters import Outcome, ScriptedAdapter
from tests.support.clock import ManualClock
from tests.support.wait import wait_until


class Slow:
    """Answers when it is let."""

    def __init__(self, outcome: Any) -> None:
        self.gate = asyncio.Event()
        self.outcome = outcome

    async def __call__(self, call: ProgramCall) -> ProgramResult:
        """Spend a call, and wait."""
        call.told.usage = Usage(lm_calls=1)
        await self.gate.wait()
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome  # type: ignore[no-any-return]


class PatientClock(ManualClock):
    """Lets those who sleep wait until the test rings."""

    def __init__(self) -> None:
        super().__init__()
        self.bell = asyncio.Event()

    @override
    async def sleep(self, seconds: float) -> None:
        """Wait for the bell."""
        self.slept.append(seconds)
        await self.bell.wait()


def members(*outcomes: Outcome) -> list[ScriptedAdapter]:
    """Give a member for each outcome."""
    return [ScriptedAdapter(of, name=name) for name, of in zip("abc", outcomes, strict=False)]


def called(members: Sequence[ScriptedAdapter]) -> list[int]:
    """Count the calls of each member."""
    return [len(member.calls) for member in members]


async def test_the_fastest_wins_and_the_others_are_stopped() -> None:
    """The first answer counts; those that were overtaken are told so, and paid for."""
    hung, call = Hang(), a_call()
    adapter = combined(Fastest, *members(hung, says("b")))
    result = await adapter.execute_program(call)
    assert (result.adapter, result.usage, hung.stops) == ("b", Usage(1, 1, 2, 2), 1)
    assert told(call) == [("a", "cancelled"), ("b", None)]
    assert call.told.members[0].error is OVERTAKEN


async def test_one_result_counts_where_two_come_at_once() -> None:
    """Of two answers in one moment the one of the earlier member counts, and both are paid for."""
    first, second, call = Slow(says("a")), Slow(says("b")), a_call()
    adapter = combined(Fastest, *members(first, second))
    running = asyncio.create_task(adapter.execute_program(call))
    await wait_until(lambda: call.told.spent.lm_calls == 2)
    second.gate.set()
    first.gate.set()
    assert (await running).adapter == "a"
    assert told(call) == [("a", None), ("b", "cancelled")]
    assert call.told.spent == Usage(2, 2, 4, 2)


async def test_a_failure_does_not_end_the_race() -> None:
    """Who fails is out; the others run on."""
    slow, call = Slow(says("a")), a_call()
    running = asyncio.create_task(combined(Fastest, *members(slow, fails())).execute_program(call))
    await wait_until(lambda: told(call)[1:] == [("b", "overloaded")])
    slow.gate.set()
    assert (await running).adapter == "a"
    assert told(call) == [("a", None), ("b", "overloaded")]


async def test_a_failure_beside_the_winner_is_its_own() -> None:
    """A loser that fails in the moment of the winner's answer keeps its own error."""
    first, second, call = Slow(says("a")), Slow(fails()), a_call()
    running = asyncio.create_task(combined(Fastest, *members(first, second)).execute_program(call))
    await wait_until(lambda: call.told.spent.lm_calls == 2)
    second.gate.set()
    first.gate.set()
    assert (await running).adapter == "a"
    assert told(call) == [("a", None), ("b", "overloaded")]


async def test_a_race_that_nobody_wins_fails() -> None:
    """Where all fail, the failure that may pass soonest stands for all."""
    lost = members(fails(ErrorType.RATE_LIMITED, 9), fails(ErrorType.OVERLOADED, 3))
    failure = await failure_of(combined(Fastest, *lost), a_call())
    assert (failure.type, failure.retry_after, failure.usage.lm_calls) == ("overloaded", 3, 2)


async def test_what_the_caller_caused_ends_the_race() -> None:
    """A request that one finds wrong is not run on by the others."""
    hung = Hang()
    adapter = combined(Fastest, *members(hung, fails(ErrorType.INVALID_REQUEST)))
    assert (await failure_of(adapter, a_call())).type is ErrorType.INVALID_REQUEST
    assert hung.stops == 1


async def test_a_stopped_race_leaves_nothing_running() -> None:
    """A race that is cancelled stops all who run in it."""
    hung, call = Hang(), a_call()
    adapter = combined(Fastest, ScriptedAdapter(hung, name="a"), ScriptedAdapter(hung, name="b"))
    running = asyncio.create_task(adapter.execute_program(call))
    await wait_until(lambda: call.told.spent.lm_calls == 2)
    running.cancel()
    await asyncio.wait([running])
    assert (hung.stops, told(call)) == (2, [("a", "cancelled"), ("b", "cancelled")])


async def test_a_hedge_waits_for_the_given_delay() -> None:
    """The second member is called where the first has not answered by then, and no sooner."""
    clock, hung = PatientClock(), Hang()
    both = members(hung, says("b"))
    adapter = combined(Hedged, *both, clock=clock, delay_ms=250)
    running = asyncio.create_task(adapter.execute_program(a_call()))
    await wait_until(lambda: bool(clock.slept))
    assert (called(both), clock.slept) == ([1, 0], [0.25])
    clock.bell.set()
    assert (await running).adapter == "b"


async def test_a_quick_first_member_runs_alone() -> None:
    """Where the first answers within the delay the second is never called."""
    both = members(says("a"), says("b"))
    adapter = combined(Hedged, *both, clock=PatientClock(), delay_ms=250)
    assert (await adapter.execute_program(a_call())).adapter == "a"
    assert called(both) == [1, 0]


async def test_a_first_member_that_fails_is_replaced_at_once() -> None:
    """Nobody waits for the delay of a member that has failed."""
    both = members(fails(), says("b"))
    adapter = combined(Hedged, *both, clock=PatientClock(), delay_ms=3_600_000)
    assert (await adapter.execute_program(a_call())).adapter == "b"


async def test_nobody_is_called_after_the_deadline() -> None:
    """A failure after the deadline has no successor."""
    clock = ManualClock()

    async def late(_: ProgramCall) -> ProgramResult:
        clock.advance(2)
        raise fails()

    both = members(late, says("b"))
    call = a_call(deadline=Deadline(clock, 1))
    await failure_of(combined(Hedged, *both, clock=clock), call)
    assert called(both) == [1, 0]


async def test_a_hedge_learns_its_delay() -> None:
    """Without a delay the observed 95th percentile counts, once there are calls enough.

    A first member that was overtaken counts with the time that it ran.
    """
    clock, program = PatientClock(), a_program()

    async def quick(_: ProgramCall) -> ProgramResult:
        clock.advance(0.5)
        return says("a")

    hung = Hang()
    first = ScriptedAdapter(*[quick] * NEEDED, hung, name="a")
    second = ScriptedAdapter(says("b"), name="b")
    adapter = combined(Hedged, first, second, clock=clock)
    for _ in range(NEEDED):
        await adapter.execute_program(a_call(program))
    assert clock.slept == []
    running = asyncio.create_task(adapter.execute_program(a_call(program)))
    await wait_until(lambda: bool(clock.slept))
    clock.advance(3)
    clock.bell.set()
    assert (await running).adapter == "b"
    kept = (await adapter._programs.get(program)).usual_time
    assert clock.slept == [0.5]
    assert list(kept._durations_s)[-1] == 3


async def test_a_failed_first_call_teaches_nothing() -> None:
    """How long a failure took says nothing of answers; nor does a call that nobody could make."""
    clock, program = ManualClock(), a_program()
    adapter = combined(Hedged, *members(fails(ErrorType.RATE_LIMITED, 9)), clock=clock)
    for _ in range(2):
        await failure_of(adapter, a_call(program))
    assert not (await adapter._programs.get(program)).usual_time._durations_s
