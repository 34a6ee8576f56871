"""Traces on DSPy: each LM call one by one, where they are asked for."""

from dataclasses import replace
from typing import Any

import pytest

from app.adapters.dspy import DspyAdapter
from app.adapters.errors import AdapterError
from tests.adapters.programs import a_call, a_program
from tests.support import model_server
from tests.support.model_server import ModelServer

SAID = '{"reasoning": "Well.", "answer": "Fine.", "mood": "good", "score": 0.5}'
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18, "lm_calls": 1}


@pytest.mark.parametrize(
    ("module", "predictor"), [("predict", "self"), ("chain_of_thought", "predict")]
)
async def test_a_trace_tells_each_call(
    dspy_adapter: DspyAdapter, server: ModelServer, module: str, predictor: str
) -> None:
    """Its predictor and LM, what was asked and said, what it cost and how long it took."""
    server.script(model_server.completion(SAID))
    trace: list[Any] = []
    call = replace(a_call(a_program(module=module)), trace=trace)
    await dspy_adapter.execute_program(call)
    (told,) = trace
    duration_ms = told.pop("duration_ms")
    assert told == {
        "predictor": predictor,
        "lm": "main",
        "messages": server.completions[0].body["messages"],
        "completion": SAID,
        "usage": USAGE,
    }
    assert duration_ms > 0


async def test_a_call_that_fails_is_traced_too(
    dspy_adapter: DspyAdapter, server: ModelServer
) -> None:
    """Without a completion, where there was none; what does not parse is there."""
    server.script(model_server.status(500), model_server.completion("No."))
    trace: list[Any] = []
    for _ in range(2):
        with pytest.raises(AdapterError):
            await dspy_adapter.execute_program(replace(a_call(), trace=trace))
    assert [told["completion"] for told in trace] == [None, "No."]
    assert [told["usage"]["lm_calls"] for told in trace] == [1, 1]
