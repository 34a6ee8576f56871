"""Programs on DSPy: modules, formats, parameters, details and what they cost."""

from typing import Any

import dspy  # type: ignore[import-untyped]
import pytest
from dspy.clients import base_lm  # type: ignore[import-untyped]

from app.adapters.base import ProgramCall
from app.adapters.dspy import DspyAdapter
from app.adapters.dspy.loading import SHADOWING
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.usage import Usage
from tests.adapters.dspy_adapters import KEY, an_lm, failure_of, running
from tests.adapters.programs import a_call, a_program
from tests.support import model_server
from tests.support.model_server import ModelServer

GOOD = {"answer": "Fine.", "mood": "good", "score": 0.5}
CHAT = """[[ ## answer ## ]]
Fine.

[[ ## mood ## ]]
good

[[ ## score ## ]]
0.5

[[ ## completed ## ]]
"""
XML = "<answer>\nFine.\n</answer>\n<mood>\ngood\n</mood>\n<score>\n0.5\n</score>"


async def test_asks_with_the_schema_of_the_outputs(
    dspy_adapter: DspyAdapter, server: ModelServer
) -> None:
    """The JSON format sends a schema that servers can hold a model to."""
    await dspy_adapter.execute_program(a_call(a_program(instructions="Be kind.")))
    body = server.completions[0].body
    schema = body["response_format"]["json_schema"]["schema"]
    assert list(schema["properties"]) == ["answer", "mood", "score"]
    assert schema["properties"]["mood"]["enum"] == ["good", "bad"]
    assert "Be kind." in body["messages"][0]["content"]
    assert "How are you?" in body["messages"][-1]["content"]


async def test_asks_for_any_json_where_a_schema_cannot_be(
    dspy_adapter: DspyAdapter, server: ModelServer
) -> None:
    """Objects with free members are asked for as JSON without a schema."""
    server.script(model_server.outputs(facts={"a": 1}))
    program = a_program("text: string -> facts: map")
    result = await dspy_adapter.execute_program(a_call(program, text="x"))
    assert result.outputs == {"facts": {"a": 1}}
    assert server.completions[0].body["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize(("prompt_format", "text"), [("chat", CHAT), ("xml", XML)])
async def test_speaks_other_formats(
    dspy_adapter: DspyAdapter, server: ModelServer, prompt_format: str, text: str
) -> None:
    """A program chooses the format of its prompts."""
    server.script(model_server.completion(text))
    program = a_program(config={"prompt_format": prompt_format})
    result = await dspy_adapter.execute_program(a_call(program))
    assert result.outputs == GOOD
    assert result.raw_output == text
    assert "response_format" not in server.completions[0].body


@pytest.mark.parametrize("prompt_format", ["json", "chat", "xml"])
async def test_never_asks_twice(
    dspy_adapter: DspyAdapter, server: ModelServer, prompt_format: str
) -> None:
    """An answer that does not parse is a failure, not a hidden second call."""
    server.always(model_server.completion("I would rather not."))
    failure = await failure_of(dspy_adapter, config={"prompt_format": prompt_format})
    assert failure.type is ErrorType.OUTPUT_INVALID
    assert failure.raw_output == "I would rather not."
    assert failure.usage == Usage(11, 7, 18, 1)
    assert len(server.completions) == 1


@pytest.mark.parametrize(
    "said",
    [
        '{"answer": "Fine.", "mood": "sad", "score": 0.5}',
        '{"answer": "Fine.", "mood": "good", "score": "much"}',
        '{"answer": "Fine.", "mood": "good"}',
        '{"answer": "Fine.", "mood": "good", "score": NaN}',
        '{"answer": "\\ud800", "mood": "good", "score": 0.5}',
        '{"answer": ' + "[" * 50_000,
        "",
    ],
    ids=["atom", "number", "missing", "not finite", "surrogate", "depth", "empty"],
)
async def test_keeps_what_does_not_fit(
    dspy_adapter: DspyAdapter, server: ModelServer, said: str
) -> None:
    """An answer outside the outputs fails with what the model said, and what it cost."""
    server.script(model_server.completion(said))
    failure = await failure_of(dspy_adapter)
    assert failure.type is ErrorType.OUTPUT_INVALID
    assert failure.raw_output == said
    assert failure.usage.total_tokens == 18


async def test_an_answer_without_text_does_not_fit(
    dspy_adapter: DspyAdapter, server: ModelServer
) -> None:
    """A model that says nothing at all has no output."""
    server.script(model_server.completion(None))
    assert (await failure_of(dspy_adapter)).type is ErrorType.OUTPUT_INVALID


async def test_counts_tokens(dspy_adapter: DspyAdapter, server: ModelServer) -> None:
    """A result says what the answer cost; a server that does not say costs nothing."""
    counted = await dspy_adapter.execute_program(a_call())
    assert counted.usage == Usage(11, 7, 18, 1)
    server.script(model_server.completion(CHAT, usage=None))
    program = a_program(config={"prompt_format": "chat"})
    assert (await dspy_adapter.execute_program(a_call(program))).usage == Usage(lm_calls=1)


async def test_tells_the_reasoning_beside_the_outputs(
    dspy_adapter: DspyAdapter, server: ModelServer
) -> None:
    """A chain of thought gives its reasoning as a detail."""
    server.script(model_server.outputs(reasoning="Because.", **GOOD))
    program = a_program(module="chain_of_thought")
    result = await dspy_adapter.execute_program(a_call(program))
    assert result.outputs == GOOD
    assert result.details == {"reasoning": "Because."}


async def test_gives_a_reasoning_that_was_asked_for(
    dspy_adapter: DspyAdapter, server: ModelServer
) -> None:
    """A signature with an output of that name has it among its outputs."""
    server.script(model_server.outputs(reasoning="Because.", answer="Fine."))
    program = a_program(
        "question: string -> answer: string, reasoning: string", module="chain_of_thought"
    )
    result = await dspy_adapter.execute_program(a_call(program))
    assert result.outputs == {"answer": "Fine.", "reasoning": "Because."}
    assert result.details is None


async def test_a_prediction_has_no_details(dspy_adapter: DspyAdapter) -> None:
    """`predict` adds nothing to the outputs."""
    assert (await dspy_adapter.execute_program(a_call())).details is None


async def test_fills_outputs_that_may_be_left_out(
    dspy_adapter: DspyAdapter, server: ModelServer
) -> None:
    """Defaults and nulls stand for what the model leaves out."""
    server.script(model_server.outputs(a="x"))
    program = a_program('text: string -> a: string, b: string = "none", c: optional[integer]')
    result = await dspy_adapter.execute_program(a_call(program, text="x"))
    assert result.outputs == {"a": "x", "b": "none", "c": None}


async def test_parameters_of_settings_program_and_call(server: ModelServer) -> None:
    """The call's parameters win over the program's, and those over the settings'; null removes."""
    lm = an_lm(server, params={"temperature": 0.1, "max_tokens": 10, "seed": 1, "top_p": 0.5})
    program = a_program(config={"max_tokens": 20, "seed": 2, "top_p": None})
    async with running({"main": lm}) as adapter:
        await adapter.execute_program(a_call(program))
        call = ProgramCall(program, {"question": "How?"}, {"seed": 3, "stop": ["."]})
        await adapter.execute_program(call)
    names = ("temperature", "max_tokens", "seed", "top_p", "stop")
    sent = [{name: call.body.get(name) for name in names} for call in server.completions]
    first = {"temperature": 0.1, "max_tokens": 20, "seed": 2, "top_p": None, "stop": None}
    assert sent == [first, first | {"seed": 3, "stop": ["."]}]


@pytest.mark.filterwarnings(f"ignore:{SHADOWING}:UserWarning")
async def test_runs_modules_on_names_that_python_uses(
    dspy_adapter: DspyAdapter, server: ModelServer
) -> None:
    """Names that pydantic would warn of are fine in every module."""
    server.script(model_server.outputs(reasoning="Because.", copy="Fine."))
    program = a_program("json: string -> copy: string", module="chain_of_thought")
    assert (await dspy_adapter.execute_program(a_call(program, json="x"))).outputs == {
        "copy": "Fine."
    }


async def test_logs_what_it_has_no_word_for(
    dspy_adapter: DspyAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    """A failure without a meaning is logged with its trace, and told without it."""
    failure = await failure_call(dspy_adapter, question="\ud800")
    assert failure.type is ErrorType.UNEXPECTED
    assert failure.message == "the program failed (ValueError)"
    assert "lone surrogate" in caplog.text


async def failure_call(adapter: DspyAdapter, **inputs: Any) -> AdapterError:
    """Make a call that fails."""
    with pytest.raises(AdapterError) as caught:
        await adapter.execute_program(a_call(**inputs))
    return caught.value


async def test_no_message_tells_a_secret(dspy_adapter: DspyAdapter, server: ModelServer) -> None:
    """Whatever a server repeats, the key and the address stay here."""
    for code in (400, 401, 404, 429, 500, 503):
        words = f"{KEY} was refused by {server.base_url} at {server.base_url[7:-3]}"
        server.script(model_server.status(code, {"error": {"message": words}}))
        document = str((await failure_of(dspy_adapter)).as_document())
        assert KEY not in document
        assert server.base_url[7:-3] not in document


async def test_keeps_no_history(dspy_adapter: DspyAdapter) -> None:
    """DSPy's histories, traces and caches stay empty, whatever runs."""
    program = a_program()
    await dspy_adapter.execute_program(a_call(program))
    await dspy_adapter.execute_program(a_call(program))
    prepared = await dspy_adapter._programs.get(program)
    assert base_lm.GLOBAL_HISTORY == []
    assert (prepared.lm.history, prepared.module.history) == ([], [])
    assert (prepared.module.traces, dspy.settings.trace) == ([], [])
    assert not dspy.cache.enable_disk_cache
    assert not dspy.cache.enable_memory_cache


async def test_asks_again_for_the_same_question(
    dspy_adapter: DspyAdapter, server: ModelServer
) -> None:
    """Nothing is answered out of a cache."""
    program = a_program()
    await dspy_adapter.execute_program(a_call(program))
    await dspy_adapter.execute_program(a_call(program))
    assert len(server.completions) == 2
