"""What the `dspy` adapter refuses before it asks a model."""

import math
from typing import Any

import pytest

from app.adapters.base import ProgramCall
from app.adapters.dspy import DspyAdapter
from app.adapters.errors import AdapterError, ErrorType
from tests.adapters.programs import a_program


@pytest.mark.parametrize(
    ("config", "place"),
    [
        ({"colour": 1}, "config.colour: "),
        ({"temperature": "hot"}, "config.temperature: "),
        ({"temperature": -1}, "config.temperature: "),
        ({"temperature": math.nan}, "config.temperature: "),
        ({"max_tokens": 0}, "config.max_tokens: "),
        ({"max_tokens": True}, "config.max_tokens: "),
        ({"api_base": "http://elsewhere/v1"}, "config.api_base: "),
        ({"api_key": "mine"}, "config.api_key: "),
        ({"n": 2}, "config.n: "),
        ({"stream": True}, "config.stream: "),
        ({"prompt_format": "baml"}, "config.prompt_format: "),
        ({"prompt_format": 1}, "config.prompt_format: "),
        ({"lm": "other"}, "config.lm names no LM: 'other'; the configured LMs are: main"),
        ({"lm": 1}, "config.lm: "),
        ({"reasoning_effort": "enormous"}, "the LM's parameters cannot be used: "),
    ],
)
async def test_refuses_a_config_that_it_does_not_know(
    dspy_adapter: DspyAdapter, config: dict[str, Any], place: str
) -> None:
    """Unknown members and wrong values are refused before a call, each by its place."""
    with pytest.raises(AdapterError) as caught:
        await dspy_adapter.create_program(a_program(config=config))
    assert caught.value.type is ErrorType.INVALID_REQUEST
    assert caught.value.message.startswith(place)


async def test_refuses_parameters_of_a_call(dspy_adapter: DspyAdapter) -> None:
    """A call sets parameters of the LM, and nothing else."""
    call = ProgramCall(a_program(), {"question": "How?"}, {"lm": "main"})
    with pytest.raises(AdapterError, match=r"execution_options\.config\.lm: ") as caught:
        await dspy_adapter.execute_program(call)
    assert caught.value.type is ErrorType.INVALID_REQUEST


async def test_ignores_what_others_take(dspy_adapter: DspyAdapter) -> None:
    """A config holds the settings of all members of a combined dspy_adapter."""
    await dspy_adapter.create_program(a_program(config={"mock": 1, "remote_program": "x"}))


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ({"module": "react"}, "does not run the module 'react'; it runs: predict, chain_of"),
        ({"module": "os:system"}, "does not run the module 'os:system'"),
        ({"config": {"tools": ["search"]}}, r"config\.tools"),
        ({"config": {"lms": {}}}, r"config\.lms"),
        (
            {"module": "chain_of_thought", "notation": "reasoning: string -> a: string"},
            "reasoning",
        ),
        ({"notation": "demos: string -> a: string"}, "'demos'"),
    ],
)
async def test_says_what_it_cannot_do(
    dspy_adapter: DspyAdapter, program: dict[str, Any], reason: str
) -> None:
    """Modules and members that are not for this adapter are unsupported."""
    with pytest.raises(AdapterError, match=reason) as caught:
        await dspy_adapter.create_program(a_program(**program))
    assert caught.value.type is ErrorType.UNSUPPORTED


async def test_validates_signatures(dspy_adapter: DspyAdapter) -> None:
    """A signature that DSPy cannot hold is unsupported, whatever the program."""
    with pytest.raises(AdapterError) as caught:
        await dspy_adapter.validate_signature(a_program("lm: string -> a: string").signature)
    assert caught.value.type is ErrorType.UNSUPPORTED
