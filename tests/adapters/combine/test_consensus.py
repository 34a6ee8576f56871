"""Consensus: who has to answer, what their answers come to, and who was outvoted."""

import asyncio

import pytest

from app.adapters.base import ProgramResult
from app.adapters.combine.consensus import Consensus
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.usage import Usage
from app.settings import SettingsError
from tests.adapters.combine.combining import Hang, combined, fails, failure_of, says, told
from tests.adapters.programs import a_call, a_program
from tests.support.adapters import ScriptedAdapter
from tests.support.clock import ManualClock
from tests.support.wait import wait_until


def members(*outcomes: ProgramResult | AdapterError | Hang) -> list[ScriptedAdapter]:
    """Give a member for each outcome."""
    return [ScriptedAdapter(of, name=name) for name, of in zip("abc", outcomes, strict=False)]


async def test_fields_are_what_most_say() -> None:
    """The answer is put together field by field; details tell how much the members agree."""
    said = members(says("a", score=0.9), says("b", mood="bad"), says("c", score=0.1))
    result = await combined(Consensus, *said).execute_program(a_call())
    assert result.outputs == {"answer": "Fine.", "mood": "good", "score": 0.5}
    assert (result.adapter, result.usage) == ("all", Usage(3, 3, 6, 3))
    assert result.details == {
        "agreement": {"answer": 1.0, "mood": 0.6667, "score": 0.3333},
        "outvoted": [
            {"adapter": "a", "fields": ["score"]},
            {"adapter": "b", "fields": ["mood"]},
            {"adapter": "c", "fields": ["score"]},
        ],
    }
    assert result.raw_output == [{"adapter": of, "raw_output": of} for of in "abc"]


async def test_values_are_converted_before_the_vote() -> None:
    """Members that spell one value differently agree."""
    said = members(says("a", score=1), says("b", score=1.0))
    result = await combined(Consensus, *said).execute_program(a_call())
    assert result.details == {
        "agreement": {"answer": 1.0, "mood": 1.0, "score": 1.0},
        "outvoted": [],
    }


async def test_more_than_half_are_enough() -> None:
    """A member that fails, or whose answer does not fit, has no vote."""
    call = a_call()
    said = members(fails(), says("b"), says("c"))
    assert (await combined(Consensus, *said).execute_program(call)).usage.lm_calls == 3
    assert told(call) == [("a", "overloaded"), ("b", None), ("c", None)]
    said = members(says("a", mood="grumpy"), says("b"), fails())
    assert (await failure_of(combined(Consensus, *said), a_call())).type is ErrorType.OVERLOADED


async def test_a_quorum_may_be_set() -> None:
    """As many members as the quorum have to answer."""
    said = members(fails(), says("b"), fails())
    assert (await combined(Consensus, *said, quorum=1).execute_program(a_call())).details
    said = members(says("a"), says("b"), fails())
    assert (await failure_of(combined(Consensus, *said, quorum=3), a_call())).usage.lm_calls == 3


async def test_what_the_caller_caused_is_told_as_it_is() -> None:
    """A request that a member finds wrong has no other answer."""
    said = members(says("a"), says("b"), fails(ErrorType.INVALID_REQUEST))
    failure = await failure_of(combined(Consensus, *said), a_call())
    assert failure.type is ErrorType.INVALID_REQUEST


async def test_too_many_pauses_leave_nobody_to_ask() -> None:
    """Where fewer members than the quorum may be called, none is."""
    clock = ManualClock()
    said = members(fails(ErrorType.RATE_LIMITED, 5), fails(ErrorType.RATE_LIMITED, 9), says("c"))
    adapter, program = combined(Consensus, *said, clock=clock), a_program()
    await failure_of(adapter, a_call(program))
    clock.advance(2)
    failure = await failure_of(adapter, a_call(program))
    assert (failure.retry_after, failure.usage) == (3, Usage())
    assert [len(member.calls) for member in said] == [1, 1, 1]


async def test_a_member_that_hangs_loses_its_vote() -> None:
    """Each member has the attempt's timeout; the others' answers wait for it."""
    hung, call = Hang(), a_call(timeout_s=0.02)
    result = await combined(Consensus, *members(says("a"), hung, says("c"))).execute_program(call)
    assert (result.usage.lm_calls, hung.stops) == (3, 1)
    assert told(call)[1] == ("b", "timeout")


async def test_a_stopped_call_stops_all_members() -> None:
    """Nothing runs on behind a call that was cancelled."""
    hung = Hang()
    adapter = combined(Consensus, ScriptedAdapter(hung, name="a"), ScriptedAdapter(hung, name="b"))
    call = a_call()
    running = asyncio.create_task(adapter.execute_program(call))
    await wait_until(lambda: call.told.spent.lm_calls == 2)
    running.cancel()
    await asyncio.wait([running])
    assert hung.stops == 2


def test_a_quorum_of_more_than_all_is_refused() -> None:
    """A consensus that could never be reached refuses the start."""
    with pytest.raises(SettingsError, match=r"adapters\.all\.quorum: there are fewer members"):
        combined(Consensus, *members(says("a")), quorum=2)
