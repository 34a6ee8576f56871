"""What an adapter gives comes back as it is, in JSON that everybody can read."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from app.adapters.base import ProgramResult
from app.adapters.errors import AdapterError, ErrorType
from app.api.responses import JSONResponse
from app.database import Database
from app.main import create_app
from app.runtime import Runtime
from app.settings import Settings
from tests.support.adapters import Outcome, ScriptedAdapter
from tests.support.factories import QUESTION, a_program, an_action, the_record

STRANGE = "NUL \x00, half \ud800, other half \udc00, whole \U0001f600, mark \ue000, \ue0000041"
Running = Callable[[Outcome], httpx.AsyncClient]


@pytest.fixture
def running(settings: Settings, runtime: Runtime, database: Database) -> Running:
    """Make a client of an application whose one adapter ends as it is told."""

    def client(outcome: Outcome) -> httpx.AsyncClient:
        action = an_action(database, ScriptedAdapter(outcome))
        app = create_app(settings, replace(runtime, execute_program=action))
        transport = httpx.ASGITransport(app)
        return httpx.AsyncClient(transport=transport, base_url="http://dspatch")

    return client


def _strictly(answer: httpx.Response) -> Any:
    """Parse as a strict client does: UTF-8, without NaN and Infinity."""

    def refuse(name: str) -> None:
        raise AssertionError(name)

    return json.loads(answer.content.decode("utf-8"), parse_constant=refuse)


async def _ran(client: httpx.AsyncClient, database: Database, notation: str) -> tuple[Any, Any]:
    """Run over HTTP; give the answer, and the record as it is read afterwards."""
    program = await a_program(database, notation)
    async with client:
        body = {"inputs": QUESTION}
        answer = await client.post(f"/v1/programs/{program.id}/executions", json=body)
        record = await the_record(database, program)
        read = await client.get(f"/v1/executions/{record.id}")
        listed = await client.get("/v1/executions", params={"include": "outputs,raw_output"})
    assert _strictly(listed)["items"][0]["outputs"] == _strictly(read)["outputs"]
    return _strictly(answer), _strictly(read)


async def test_outputs_with_strange_characters_come_back_exactly(
    running: Running, database: Database
) -> None:
    """NUL and private use, in values and keys; what the type refuses is kept as it was said."""
    text = STRANGE.replace("\ud800", "").replace("\udc00", "")
    outputs = {"answer": text, "more": {text: [text]}}
    notation = "question: string -> answer: string, more: any"
    answer, read = await _ran(running(ProgramResult(outputs, "a")), database, notation)
    assert answer["outputs"] == outputs == read["outputs"]


@pytest.mark.parametrize("outputs", [{"answer": STRANGE}, {STRANGE: 1}, {"answer": [STRANGE]}])
async def test_what_the_model_said_is_kept_exactly(
    running: Running, database: Database, outputs: dict[str, Any]
) -> None:
    """Half characters fit no text; the raw output has them all the same."""
    result = ProgramResult(outputs, "a", raw_output=[STRANGE, outputs])
    notation = "question: string -> answer: string"
    problem, read = await _ran(running(result), database, notation)
    assert problem["error"]["type"] == "output_invalid"
    assert read["raw_output"] == [STRANGE, outputs]
    assert read["error"] == problem["error"]


async def test_the_words_of_an_error_come_back_exactly(
    running: Running, database: Database
) -> None:
    """In the problem and in the record, in message and context."""
    failure = AdapterError(ErrorType.INVALID_REQUEST, STRANGE, context={STRANGE: STRANGE})
    notation = "question: string -> answer: string"
    problem, read = await _ran(running(failure), database, notation)
    assert problem["detail"] == STRANGE
    assert problem["error"]["context"] == {STRANGE: STRANGE}
    assert read["error"] == problem["error"]


async def test_numbers_that_json_does_not_have_are_named(
    running: Running, database: Database
) -> None:
    """NaN and the infinities become strings, in the answer and in the record."""
    raw = [float("nan"), float("inf"), {"a": -float("inf")}]
    result = ProgramResult({}, "a", raw_output=raw)
    notation = "question: string -> answer: string"
    _, read = await _ran(running(result), database, notation)
    assert read["raw_output"] == ["NaN", "Infinity", {"a": "-Infinity"}]


async def test_numbers_come_back_exactly(running: Running, database: Database) -> None:
    """Floats and integers of any size, in the raw output too."""
    numbers = [1e23, 0.1, 2**53 + 1, -0.0, 5e-324, 10**300]
    outputs = {"answer": "a", "more": numbers[:-1]}
    notation = "question: string -> answer: string, more: any"
    details = {"numbers": numbers}
    result = ProgramResult(outputs, "a", details=details)
    answer, read = await _ran(running(result), database, notation)
    assert answer["outputs"] == outputs == read["outputs"]
    assert answer["details"] == details == read["details"]


@pytest.mark.parametrize("content", [{"a": ["é", 1, None]}, [STRANGE], {STRANGE: 0.1}, "\ud800"])
def test_an_answer_is_json_in_utf8_whatever_it_says(content: Any) -> None:
    """Half a surrogate pair is written as its escape."""
    rendered = JSONResponse(None).render(content)
    assert json.loads(rendered.decode("utf-8")) == content
