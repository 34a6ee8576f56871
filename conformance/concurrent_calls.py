"""Many calls of one program at once."""

import asyncio

from conformance.harness import Harness
from conformance.programs import a_call, a_program

CALLS = 40


async def test_each_gets_its_own_answer(harness: Harness) -> None:
    """Calls side by side give what each of them gives alone."""
    program = a_program(config=harness.answering())
    calls = [a_call(program, question=f"question {number}") for number in range(CALLS)]
    together = await asyncio.gather(*map(harness.adapter.execute_program, calls))
    alone = [await harness.adapter.execute_program(call) for call in calls]
    assert [result.outputs for result in together] == [result.outputs for result in alone]
    assert len({result.outputs["answer"] for result in together}) > 1


async def test_a_failure_hurts_no_other(harness: Harness) -> None:
    """Programs that fail and programs that answer run side by side."""
    good = a_program(config=harness.answering())
    bad = a_program(config=harness.wrong())
    results = await asyncio.gather(
        *(harness.adapter.execute_program(a_call(of)) for of in [good, bad] * 10),
        return_exceptions=True,
    )
    assert sum(isinstance(result, Exception) for result in results) == 10


async def test_usage_is_each_calls_own(harness: Harness) -> None:
    """What a call cost is not mixed with its neighbours'."""
    program = a_program(config=harness.answering())
    calls = [a_call(program, question=f"question {number}") for number in range(CALLS)]
    results = await asyncio.gather(*map(harness.adapter.execute_program, calls))
    costs = {result.usage.lm_calls for result in results}
    assert costs <= set(range(1, harness.most_calls + 1))
