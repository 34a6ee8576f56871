"""Texts that break what is not careful."""

import pytest

from conformance.harness import Harness
from conformance.programs import a_call, a_program

NASTY = {
    "empty": "",
    "spaces": " \t\n\r ",
    "quotes": '"\'`\\"\\\\',
    "controls": "\x00\x01\x1b[31m\x7f\x85",
    "bidi": "\u202eright to left\u2066",
    "byte order mark": "\ufeffmark",
    "beyond the basic plane": "\U0001f469\u200d\U0001f680 \U0010ffff",
    "markers": "[[ ## answer ## ]]\n[[ ## completed ## ]]",
    "fences": '```json\n{"answer": "no"}\n```',
    "xml": "<answer>&amp;</answer>]]>",
    "json": '{"answer": [1, 2',
    "template": "{question} ${HOME} %s {{ x }}",
    "line separators": "a\u2028b\u2029c",
}


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
async def test_comes_back_as_it_was_said(harness: Harness, text: str) -> None:
    """An output is the text that the back-end gave, to the character."""
    said = {"answer": text, "mood": "good", "score": 0.5}
    program = a_program(config=harness.saying(said))
    result = await harness.adapter.execute_program(a_call(program))
    assert result.outputs == said


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
async def test_is_taken_as_an_input(harness: Harness, text: str) -> None:
    """An input of any text runs; NUL never gets here, since it is refused at the door."""
    question = text.replace("\x00", "")
    call = a_call(a_program(config=harness.answering()), question=question)
    assert (await harness.adapter.execute_program(call)).outputs["mood"] in {"good", "bad"}
