"""Whatever a model says is an exact round trip or a refusal in the record; never a 500."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.database import Database
from app.settings import LMSettings, Settings
from tests.support import model_server
from tests.support.application import a_client_on
from tests.support.factories import post_execution, program_body
from tests.support.model_server import ModelServer

DEEP = 70
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab\0é"), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    """A model server of the test's own."""
    async with ModelServer() as running:
        yield running


@pytest.fixture
async def talking(
    settings: Settings,
    database: Database,  # noqa: ARG001 - emptied after us
    server: ModelServer,
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application on the model."""
    lm = LMSettings.model_validate({"model": "openai/small", "api_base": server.base_url})
    on_model = settings.model_copy(update={"lms": {"main": lm}})
    async with a_client_on(on_model) as client:
        yield client


@pytest.fixture
async def program(talking: httpx.AsyncClient) -> dict[str, Any]:
    """A program whose one output is an object; in `any` alone, DSPy reads "0" as 0."""
    notation = "question: string -> answer: map"
    body = await program_body(talking, notation=notation, adapter="dspy")
    return dict((await talking.post("/v1/programs", json=body)).json())


async def _record(client: httpx.AsyncClient, program: dict[str, Any]) -> dict[str, Any]:
    """Run once; give the record as it is read afterwards."""
    answer = await post_execution(client, program, options={"max_retries": 0})
    assert answer.status_code in {200, 502}, answer.text
    document = answer.json()
    read = await client.get(f"/v1/executions/{document['execution_id']}")
    assert read.status_code == 200
    return dict(read.json())


@pytest.mark.parametrize(
    "said",
    [
        "0.1",
        "-0.0",
        "9007199254740993",
        "1e23",
        "5e-324",
        '"a\\u0000b"',
        '{"\\u0000": [1.0]}',
        "[]",
    ],
)
async def test_what_json_holds_comes_back_exactly(
    talking: httpx.AsyncClient, server: ModelServer, program: dict[str, Any], said: str
) -> None:
    """Numbers to the last bit, NUL and all."""
    server.script(model_server.completion(f'{{"answer": {{"is": {said}}}}}'))
    record = await _record(talking, program)
    assert record["status"] == "completed", record["error"]
    assert repr(record["outputs"]["answer"]["is"]) == repr(json.loads(said))


@pytest.mark.parametrize(
    "said",
    [
        "1e400",
        "NaN",
        "-Infinity",
        "9" * 300,
        str(2**64),
        '"\\ud800"',
        '{"\\ud800": 1}',
        "[" * DEEP + "]" * DEEP,
        "[" * 100_000,
        '{"a": ' * DEEP + "1" + "}" * DEEP,
    ],
    ids=lambda said: f"{said[:12]} {len(said)}",
)
async def test_what_cannot_be_kept_is_refused_in_the_record(
    talking: httpx.AsyncClient, server: ModelServer, program: dict[str, Any], said: str
) -> None:
    """The record has failed as `validation_error`, with what the model said, word for word."""
    text = f'{{"answer": {{"is": {said}}}}}'
    server.script(model_server.completion(text))
    record = await _record(talking, program)
    assert (record["status"], record["outcome"]) == ("failed", "validation_error")
    assert record["error"]["type"] == "output_invalid"
    assert record["raw_output"] == text


async def test_a_number_that_python_cannot_read_is_kept_as_its_digits(
    talking: httpx.AsyncClient, server: ModelServer, program: dict[str, Any]
) -> None:
    """Over 4 300 of them; DSPy's repair of JSON takes them for text."""
    digits = "9" * 5_000
    server.script(model_server.completion(f'{{"answer": {{"is": {digits}}}}}'))
    assert (await _record(talking, program))["outputs"] == {"answer": {"is": digits}}


@settings(
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(value=JSON)
async def test_any_json_comes_back_exactly(
    talking: httpx.AsyncClient, server: ModelServer, program: dict[str, Any], value: Any
) -> None:
    """Value-identical, down to the kind of each number; or the record says why not."""
    server.script(model_server.completion(json.dumps({"answer": {"is": value}})))
    record = await _record(talking, program)
    assert record["status"] == "completed", record["error"]
    assert repr(record["outputs"]["answer"]["is"]) == repr(value)


@settings(
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(text=st.text(max_size=60) | st.text('{}[]":,\\eu0019aN.-', max_size=60))
async def test_any_text_ends_as_a_record(
    talking: httpx.AsyncClient, server: ModelServer, program: dict[str, Any], text: str
) -> None:
    """Completed, or invalid with the text kept."""
    server.script(model_server.completion(text))
    record = await _record(talking, program)
    assert record["status"] == "completed" or record["outcome"] == "validation_error"
