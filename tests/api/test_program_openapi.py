"""The OpenAPI document of one program."""

import re
from typing import Any
from uuid import uuid4

import httpx
import jsonschema
import pytest

from tests.support.factories import post_execution, post_program

NOTATION = (
    "question: constrained[string, min_length=2], tags: list[integer] = [], hint: optional[string]"
    ' -> answer: string, mood: atom["good", "bad"] = "good"'
)


@pytest.fixture
async def program(client: httpx.AsyncClient) -> dict[str, Any]:
    """A program whose signature has something to say."""
    return await post_program(client, notation=NOTATION, description="It answers.")


@pytest.fixture
async def document(client: httpx.AsyncClient, program: dict[str, Any]) -> dict[str, Any]:
    """The program's document."""
    answer = await client.get(f"/v1/programs/{program['program_id']}/openapi.json")
    assert answer.status_code == 200
    return dict(answer.json())


def _references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if "$ref" in value else set()
        return own.union(*map(_references, value.values()))
    return set().union(*map(_references, value)) if isinstance(value, list) else set()


def _validator(document: dict[str, Any], name: str) -> jsonschema.Draft202012Validator:
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    return jsonschema.Draft202012Validator(schema)


def test_it_has_the_programs_name_and_one_operation(
    document: dict[str, Any], program: dict[str, Any]
) -> None:
    """At the program's own address, so that nothing of the address is left to fill in."""
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert document["info"] == {
        "title": "answerer",
        "version": "1",
        "description": "It answers.",
    }
    assert list(document["paths"]) == [f"/v1/programs/{program['program_id']}/executions"]
    ((method, operation),) = document["paths"].popitem()[1].items()
    assert (method, operation["operationId"]) == ("post", "execute_program")
    assert "program_id" not in {one["name"] for one in operation["parameters"]}
    assert [tag["name"] for tag in document["tags"]] == operation["tags"]


async def test_problems_are_those_of_every_program(
    client: httpx.AsyncClient, document: dict[str, Any]
) -> None:
    """Nothing is said otherwise than in the document of the whole."""
    whole = (await client.get("/openapi.json")).json()
    everywhere = whole["paths"]["/v1/programs/{program_id}/executions"]["post"]["responses"]
    (operations,) = document["paths"].values()
    assert operations["post"]["responses"] == everywhere
    assert whole["components"]["schemas"]["Problem"] == document["components"]["schemas"]["Problem"]
    assert document["servers"] == whole["servers"]


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    """And every schema is used and is one."""
    schemas = document["components"]["schemas"]
    assert _references(document) == {f"#/components/schemas/{name}" for name in schemas}
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    ("inputs", "valid"),
    [
        ({"question": "What?"}, True),
        ({"question": "What?", "tags": [1], "hint": None}, True),
        ({"question": "?"}, False),
        ({"question": "What?", "tags": ["x"]}, False),
        ({"question": "What?", "other": 1}, False),
        ({}, False),
    ],
)
async def test_inputs_are_typed(
    client: httpx.AsyncClient,
    document: dict[str, Any],
    program: dict[str, Any],
    inputs: dict[str, Any],
    *,
    valid: bool,
) -> None:
    """What fits the document is taken, and what does not is refused."""
    assert _validator(document, "ExecutionCreate").is_valid({"inputs": inputs}) is valid
    answer = await post_execution(client, program, inputs)
    assert answer.status_code == (200 if valid else 422)
    if valid:
        _validator(document, "Execution").validate(answer.json())


async def test_outputs_are_typed(
    client: httpx.AsyncClient, document: dict[str, Any], program: dict[str, Any]
) -> None:
    """Each is there, those with a default too."""
    execution = (await post_execution(client, program, {"question": "What?"})).json()
    validator = _validator(document, "Execution")
    assert execution["outputs"] == {"answer": "Paris", "mood": "good"}
    for wrong in ({"answer": "Paris"}, {"answer": "Paris", "mood": "sad"}):
        assert not validator.is_valid({**execution, "outputs": wrong})


async def test_the_next_revision_is_the_next_version(
    client: httpx.AsyncClient, program: dict[str, Any]
) -> None:
    """Where a program says nothing of itself, its signature's instructions do."""
    path = f"/v1/programs/{program['program_id']}"
    await client.patch(path, json={"config": {"mock": {}}, "description": ""})
    info = (await client.get(f"{path}/openapi.json")).json()["info"]
    assert info == {"title": "answerer", "version": "2", "description": ""}


async def test_one_program_leaves_the_document_of_the_whole_alone(
    client: httpx.AsyncClient, document: dict[str, Any]
) -> None:
    """It is a copy that is typed."""
    whole = (await client.get("/openapi.json")).json()
    assert "ProgramInputs" in document["components"]["schemas"]
    assert "ProgramInputs" not in str(whole)


async def test_an_unknown_program_is_404(client: httpx.AsyncClient) -> None:
    """As for a GET of it."""
    answer = await client.get(f"/v1/programs/{uuid4()}/openapi.json")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/program-not-found")
