"""Members in turn: which failures pass to the next member, and what is told of all of them."""

from dataclasses import replace

import pytest

from app.adapters.base import ProgramResult
from app.adapters.combine.combination import CALLERS_OWN
from app.adapters.combine.in_turn import Failover, RoundRobin, Weighted
from app.adapters.errors import ErrorType
from app.adapters.usage import Usage
from app.policies.deadline import Deadline
from app.settings import SettingsError
from tests.adapters.combine.combining import Hang, combined, fails, failure_of, says, told
from tests.adapters.programs import a_call, a_program
from tests.support.adapters import ScriptedAdapter
from tests.support.clock import ManualClock


async def test_the_first_answers_where_it_can() -> None:
    """Nobody but the first member is called while it answers."""
    first, second = ScriptedAdapter(says("a"), name="a"), ScriptedAdapter(name="b")
    result = await combined(Failover, first, second).execute_program(a_call())
    assert (result.adapter, result.raw_output, second.calls) == ("a", "a", [])


@pytest.mark.parametrize("error_type", sorted(set(ErrorType) - CALLERS_OWN))
async def test_the_next_answers_for_one_that_fails(error_type: ErrorType) -> None:
    """A failure that another back-end might not have passes to the next; both are paid for."""
    first = ScriptedAdapter(fails(error_type), name="a")
    second, call = ScriptedAdapter(says("b"), name="b"), a_call()
    result = await combined(Failover, first, second).execute_program(call)
    assert (result.adapter, result.usage) == ("b", Usage(1, 1, 2, 2))
    assert told(call) == [("a", error_type), ("b", None)]


@pytest.mark.parametrize("error_type", sorted(CALLERS_OWN))
async def test_what_the_caller_caused_passes_to_nobody(error_type: ErrorType) -> None:
    """A request that is wrong is wrong everywhere."""
    first, second = ScriptedAdapter(fails(error_type), name="a"), ScriptedAdapter(name="b")
    failure = await failure_of(combined(Failover, first, second), a_call())
    assert (failure.type, failure.usage.lm_calls, second.calls) == (error_type, 1, [])


async def test_outputs_that_do_not_fit_pass_to_the_next() -> None:
    """A member whose answer is not the signature's has failed, as its attempt says."""
    wrong = ProgramResult({"answer": "Fine.", "mood": "grumpy", "score": 2}, "a", raw_output="x")
    first, second = ScriptedAdapter(wrong, name="a"), ScriptedAdapter(says("b"), name="b")
    call = a_call()
    assert (await combined(Failover, first, second).execute_program(call)).adapter == "b"
    assert told(call) == [("a", ErrorType.OUTPUT_INVALID), ("b", None)]


async def test_a_bug_of_a_member_passes_to_the_next(caplog: pytest.LogCaptureFixture) -> None:
    """A member that raises what is no AdapterError is told as unexpected, and logged."""
    first, second = ScriptedAdapter(ValueError(), name="a"), ScriptedAdapter(says("b"), name="b")
    call = a_call()
    await combined(Failover, first, second).execute_program(call)
    assert told(call)[0] == ("a", ErrorType.UNEXPECTED)
    assert "adapter a raised what is no AdapterError" in caplog.text


@pytest.mark.parametrize(
    ("failures", "told_most"),
    [
        ([fails(ErrorType.AUTHENTICATION), fails(ErrorType.TIMEOUT)], ErrorType.TIMEOUT),
        ([fails(ErrorType.AUTHENTICATION), fails(ErrorType.UNEXPECTED)], ErrorType.AUTHENTICATION),
        ([fails(ErrorType.RATE_LIMITED, 9), fails(ErrorType.OVERLOADED, 3)], ErrorType.OVERLOADED),
        ([fails(ErrorType.RATE_LIMITED, 9), fails(ErrorType.TIMEOUT)], ErrorType.TIMEOUT),
    ],
)
async def test_the_most_telling_failure_stands_for_all(
    failures: list[Exception], told_most: ErrorType
) -> None:
    """Where all fail it is the failure that may pass soonest, else the first; all are paid for."""
    members = [ScriptedAdapter(of, name=name) for of, name in zip(failures, "ab", strict=True)]
    failure = await failure_of(combined(Failover, *members), a_call())
    assert (failure.type, failure.usage.lm_calls) == (told_most, 2)


async def test_who_asked_for_a_pause_is_not_called_before() -> None:
    """A member is left out for as long as it asked for, and called again afterwards."""
    clock = ManualClock()
    first = ScriptedAdapter(fails(ErrorType.RATE_LIMITED, 9), says("a"), name="a")
    second = ScriptedAdapter(says("b"), says("b"), name="b")
    adapter, program = combined(Failover, first, second, clock=clock), a_program()
    for seconds, answers in [(0, "b"), (8.9, "b"), (0.2, "a")]:
        clock.advance(seconds)
        assert (await adapter.execute_program(a_call(program))).adapter == answers
    assert (len(first.calls), len(second.calls)) == (2, 2)


async def test_all_pausing_is_told_with_the_shortest_wait() -> None:
    """Where every member asked for a pause nobody is called, and the wait is what is left of it."""
    clock = ManualClock()
    first = ScriptedAdapter(fails(ErrorType.RATE_LIMITED, 9), name="a")
    second = ScriptedAdapter(fails(ErrorType.OVERLOADED, 300), name="b")
    adapter, program = combined(Failover, first, second, clock=clock), a_program()
    assert (await failure_of(adapter, a_call(program))).retry_after == 9
    clock.advance(2)
    call = a_call(program)
    failure = await failure_of(adapter, call)
    assert (failure.type, failure.retry_after) == (ErrorType.RATE_LIMITED, 7)
    assert (failure.usage, call.told.members) == (Usage(), [])
    clock.advance(58.5)
    second._outcomes, first._outcomes = [says("b")], [fails()]
    assert (await adapter.execute_program(a_call(program))).adapter == "b"


async def test_a_pause_of_another_program_does_not_count() -> None:
    """Programs may run on other models behind the same member."""
    first = ScriptedAdapter(fails(ErrorType.RATE_LIMITED, 9), says("a"), name="a")
    adapter = combined(Failover, first, ScriptedAdapter(says("b"), name="b"))
    await adapter.execute_program(a_call(a_program()))
    assert (await adapter.execute_program(a_call(a_program()))).adapter == "a"


async def test_nobody_is_called_after_the_deadline() -> None:
    """Where a member used up the time, the next is not begun with."""
    clock = ManualClock()

    async def late(_: object) -> ProgramResult:
        clock.advance(2)
        raise fails()

    first, second = ScriptedAdapter(late, name="a"), ScriptedAdapter(says("b"), name="b")
    call = a_call(deadline=Deadline(clock, 1))
    await failure_of(combined(Failover, first, second, clock=clock), call)
    assert second.calls == []


async def test_each_member_has_the_attempts_timeout() -> None:
    """A member that hangs costs its timeout, not the deadline of the whole."""
    clock, hung = ManualClock(), Hang()
    call = a_call(timeout_s=0.02)
    result = await combined(
        Failover,
        ScriptedAdapter(hung, name="a"),
        ScriptedAdapter(says("b"), name="b"),
        clock=clock,
    ).execute_program(call)
    assert (result.adapter, result.usage.lm_calls, hung.stops) == ("b", 2, 1)
    assert told(call) == [("a", ErrorType.TIMEOUT), ("b", None)]


async def test_turns_go_around() -> None:
    """Each call begins with the next member, and goes around where that one fails."""
    first = ScriptedAdapter(says("a"), says("a"), says("a"), name="a")
    second = ScriptedAdapter(says("b"), name="b")
    third = ScriptedAdapter(fails(), name="c")
    adapter = combined(RoundRobin, first, second, third)
    calls = [a_call() for _ in range(4)]
    answers = [(await adapter.execute_program(call)).adapter for call in calls]
    assert answers == ["a", "b", "a", "a"]
    assert told(calls[2]) == [("c", "overloaded"), ("a", None)]


async def test_weights_share_calls_out_evenly() -> None:
    """A member begins as many calls as its weight says, and never many in a row."""
    names = ("a", "b", "c")
    all_members = [ScriptedAdapter(*[says(name)] * 80, name=name) for name in names]
    adapter = combined(Weighted, *all_members, weights=[5, 2, 1])
    answers = [(await adapter.execute_program(a_call())).adapter for _ in range(80)]
    assert [answers.count(name) for name in names] == [50, 20, 10]
    assert answers[:8] == list("abaacaba")


async def test_the_weightiest_of_the_others_stands_in() -> None:
    """Where the member whose turn it is fails, the one that is owed most is next."""
    first = ScriptedAdapter(fails(), name="a")
    second = ScriptedAdapter(name="b")
    third = ScriptedAdapter(says("c"), name="c")
    adapter = combined(Weighted, first, second, third, weights=[3, 1, 2])
    assert (await adapter.execute_program(a_call())).adapter == "c"


def test_each_member_has_a_weight() -> None:
    """Weights that are not as many as the members refuse the start."""
    with pytest.raises(SettingsError, match=r"adapters\.all\.weights: give one for each member"):
        combined(Weighted, ScriptedAdapter(name="a"), weights=[1, 2])


async def test_only_the_last_member_may_have_a_call_wait() -> None:
    """The others know that there is another; so does the last, where the whole has one."""
    first, second = (ScriptedAdapter(fails(), fails(), name=name) for name in "ab")
    adapter = combined(Failover, first, second)
    for has_substitute in (False, True):
        await failure_of(adapter, replace(a_call(), has_substitute=has_substitute))
    assert [call.has_substitute for call in first.calls] == [True, True]
    assert [call.has_substitute for call in second.calls] == [False, True]
