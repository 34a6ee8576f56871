"""Repairs on DSPy: the same prompt, then the model's own answer and what is wrong with it."""

from typing import Any

import pytest

from app.adapters.base import ProgramCall, Repair
from app.adapters.dspy import DspyAdapter
from app.adapters.errors import ErrorType
from tests.adapters.dspy_adapters import failure_of
from tests.adapters.programs import a_call, a_program
from tests.support import model_server
from tests.support.model_server import ModelServer

CHAT = "[[ ## answer ## ]]\nFine.\n\n[[ ## mood ## ]]\n{}\n\n[[ ## score ## ]]\n{}\n"
XML = "<answer>Fine.</answer>\n<mood>{}</mood>\n<score>{}</score>"
JSON = '{{"answer": "Fine.", "mood": "{}", "score": {}}}'
GOOD = {"answer": "Fine.", "mood": "good", "score": 0.5}
FORMATS = [("json", JSON), ("chat", CHAT), ("xml", XML)]
REQUEST = (
    "That answer cannot be used:\n- mood is missing\n- score must be 1 or less, not 7\n"
    "Answer again, in full and in the same format, with this put right."
)


def a_repair(raw_output: Any, *, prompt_format: str = "json", module: str = "predict") -> Any:
    """Give a call that asks again, and the same call without."""
    program = a_program(config={"prompt_format": prompt_format}, module=module)
    plain = a_call(program)
    repair = Repair(raw_output, ("mood is missing", "score must be 1 or less, not 7"))
    return ProgramCall(program, plain.inputs, repair=repair), plain


@pytest.mark.parametrize(("prompt_format", "template"), FORMATS)
async def test_tells_the_model_its_answer_and_the_faults(
    dspy_adapter: DspyAdapter, server: ModelServer, prompt_format: str, template: str
) -> None:
    """Two messages follow the prompt, which stays byte by byte what it is without a repair."""
    server.always(model_server.completion(template.format("good", 0.5)))
    repairing, plain = a_repair("I would rather not.", prompt_format=prompt_format)
    await dspy_adapter.execute_program(plain)
    result = await dspy_adapter.execute_program(repairing)
    first, second = [call.body for call in server.completions]
    assert result.outputs == GOOD
    assert second["messages"][:-2] == first["messages"]
    assert second["messages"][-2:] == [
        {"role": "assistant", "content": "I would rather not."},
        {"role": "user", "content": REQUEST},
    ]
    assert {**second, "messages": []} == {**first, "messages": []}


@pytest.mark.parametrize(
    ("said", "content"), [({"answer": "né"}, '{"answer": "né"}'), (None, None), ("", None)]
)
async def test_tells_what_there_is_of_the_answer(
    dspy_adapter: DspyAdapter, server: ModelServer, said: Any, content: str | None
) -> None:
    """Values are told as JSON; where the model said nothing, the faults alone are told."""
    server.always(model_server.completion(JSON.format("good", 0.5)))
    repairing, _ = a_repair(said)
    await dspy_adapter.execute_program(repairing)
    messages = server.completions[0].body["messages"]
    told = [message["content"] for message in messages if message["role"] == "assistant"]
    assert told == ([] if content is None else [content])
    assert messages[-1]["content"] == REQUEST


async def test_reasoning_is_asked_for_again_too(
    dspy_adapter: DspyAdapter, server: ModelServer
) -> None:
    """`chain_of_thought` has an output more than the program; its predictor is told."""
    server.always(model_server.outputs(reasoning="Well.", **GOOD))
    repairing, _ = a_repair("No.", module="chain_of_thought")
    assert (await dspy_adapter.execute_program(repairing)).outputs == GOOD
    assert server.completions[0].prompt == REQUEST


@pytest.mark.parametrize(
    ("prompt_format", "said", "path", "message"),
    [
        ("json", JSON.format("sad", 0.5), "/mood", "mood must be 'good' or 'bad', not \"sad\""),
        ("chat", CHAT.format("good", "x"), "/score", 'score must be a number, not "x"'),
        ("xml", XML.format("good", "x"), "", 'an output must be a number, not "x"'),
    ],
)
async def test_an_answer_that_cannot_be_read_names_the_fault(
    dspy_adapter: DspyAdapter,
    server: ModelServer,
    prompt_format: str,
    said: str,
    path: str,
    message: str,
) -> None:
    """What DSPy cannot parse is told in the words of our own validation, with its place."""
    server.script(model_server.completion(said))
    failure = await failure_of(dspy_adapter, config={"prompt_format": prompt_format})
    assert failure.type is ErrorType.OUTPUT_INVALID
    (fault,) = failure.context["faults"]
    assert (fault["path"], fault["message"]) == (path, message)


async def test_an_answer_in_no_format_says_so(
    dspy_adapter: DspyAdapter, server: ModelServer
) -> None:
    """Text where XML is asked for, and XML that does not close."""
    server.script(model_server.completion("<answer>"), model_server.completion("Fine."))
    broken = await failure_of(dspy_adapter, config={"prompt_format": "xml"})
    absent = await failure_of(dspy_adapter, config={"prompt_format": "xml"})
    assert broken.context["faults"][0]["message"].startswith("Failed to parse XML")
    assert [fault["message"] for fault in absent.context["faults"]] == [
        "answer is missing",
        "mood is missing",
        "score is missing",
    ]
