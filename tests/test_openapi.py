"""The OpenAPI document: complete, readable, and true."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import jsonschema
import pytest

from app.api.problems import problem_kinds
from app.main import ROUTERS, create_app
from app.settings import Settings
from tests.support.factories import QUESTION, post_execution, post_program, post_signature

MEDIA_TYPE = "application/problem+json"
PROBLEM = {"schema": {"$ref": "#/components/schemas/Problem"}}
FREE_BODIES = {"ProgramState"}  # its members are the module's predictors
TEXTS = {
    "text/markdown",
    "text/plain",
    "text/event-stream",
    "application/openmetrics-text",
    "application/jsonl",
}
PROBES = {"/livez", "/readyz", "/startupz"}


class Operation(NamedTuple):
    """One method of one path."""

    method: str
    path: str
    document: dict[str, Any]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The document of the application as it is."""
    return create_app(Settings()).openapi()


@pytest.fixture
def operations(document: dict[str, Any]) -> list[Operation]:
    """Every method of every path."""
    return [
        Operation(method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


async def test_the_document_is_served(client: httpx.AsyncClient, document: dict[str, Any]) -> None:
    """It is that of the application, the same each time."""
    answers = [await client.get("/openapi.json") for _ in range(2)]
    assert [answer.json() for answer in answers] == [document] * 2
    assert answers[0].headers["Content-Type"] == "application/json"


def test_the_document_says_what_it_is(document: dict[str, Any]) -> None:
    """OpenAPI 3.1, with a title and a version."""
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert document["info"]["title"] == "Dspatch"
    assert document["info"]["version"]
    assert set(document) == {"openapi", "info", "servers", "paths", "components", "tags"}


def test_the_document_says_how_to_send_a_key(document: dict[str, Any]) -> None:
    """One scheme, that of RFC 6750, which clients can be generated with."""
    (scheme,) = document["components"]["securitySchemes"].values()
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")


def test_every_route_is_described(operations: list[Operation]) -> None:
    """No route of a router is missing."""
    routes = {
        (method.lower(), route.path)  # type: ignore[attr-defined]
        for router in ROUTERS
        for route in router.routes
        for method in route.methods  # type: ignore[attr-defined]
    }
    assert {(operation.method, operation.path) for operation in operations} == routes


def test_every_operation_has_a_readable_id_of_its_own(operations: list[Operation]) -> None:
    """`execute_program`: words that a generated client has as a method."""
    ids = [operation.document["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)+", one) for one in ids)


def test_every_tag_is_described(document: dict[str, Any], operations: list[Operation]) -> None:
    """Each operation has one tag, and each tag is used and says what it is about."""
    used = [operation.document["tags"] for operation in operations]
    assert all(len(tags) == 1 for tags in used)
    described = {tag["name"]: tag["description"] for tag in document["tags"]}
    assert set(described) == {tags[0] for tags in used}
    assert all(described.values())


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    """And every named schema is used."""
    schemas = document["components"]["schemas"]
    references = set(_references(document))
    assert references == {f"#/components/schemas/{name}" for name in schemas}


def test_no_schema_is_called_as_a_member_of_it(document: dict[str, Any]) -> None:
    """Generated clients have one name for both where it is the same word."""
    for name, schema in document["components"]["schemas"].items():
        word = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
        assert word not in schema.get("properties", {}), name


def test_every_schema_is_one(document: dict[str, Any]) -> None:
    """JSON Schema, draft 2020-12, as OpenAPI 3.1 asks."""
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_body_has_a_named_schema(operations: list[Operation]) -> None:
    """What is sent and what is answered, so that generated clients have classes for it."""
    for operation in operations:
        contents = [operation.document.get("requestBody", {"content": {}})["content"]]
        contents += [one.get("content", {}) for one in operation.document["responses"].values()]
        for content in contents:
            for media_type, body in content.items():
                if media_type not in TEXTS:
                    assert set(body["schema"]) == {"$ref"}, operation


def test_every_body_that_is_sent_has_examples(
    document: dict[str, Any], operations: list[Operation]
) -> None:
    """Each has at least one member whose values are shown."""
    for operation in operations:
        if "requestBody" in operation.document:
            content = operation.document["requestBody"]["content"]
            name = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
            schema = document["components"]["schemas"][name]
            shown = [schema, *schema.get("properties", {}).values()]
            assert any("examples" in one for one in shown), name
            assert schema["additionalProperties"] is (name in FREE_BODIES)


def test_every_path_parameter_is_described(operations: list[Operation]) -> None:
    """Those in braces and no others; they are required."""
    for operation in operations:
        parameters = operation.document.get("parameters", [])
        in_path = {one["name"] for one in parameters if one["in"] == "path"}
        assert in_path == set(re.findall(r"\{(\w+)\}", operation.path))
        assert all(one["required"] for one in parameters if one["in"] == "path")


def test_every_problem_is_described(operations: list[Operation]) -> None:
    """Each error is a problem document, and its types are named and have pages."""
    for operation in operations:
        for status, response in operation.document["responses"].items():
            if status < "400" or (operation.path in PROBES and status == "503"):
                continue
            assert response["content"] == {MEDIA_TYPE: PROBLEM}, operation
            slugs = re.findall(r"`([a-z-]+)`", response["description"])
            assert slugs
            assert {str(problem_kinds()[slug].status) for slug in slugs} == {status}


def test_what_every_call_can_answer_is_described(operations: list[Operation]) -> None:
    """422 everywhere; 400, 413 and 415 where there is a body; 503 where there is a database."""
    for operation in operations:
        statuses = set(operation.document["responses"])
        assert "422" in statuses
        has_body = "requestBody" in operation.document
        assert {"400", "413", "415"} <= statuses or not has_body
        assert "503" in statuses or not operation.path.startswith("/v1/")


def test_what_a_run_can_answer_is_described(document: dict[str, Any]) -> None:
    """Every status of the contract stands there with its types."""
    responses = document["paths"]["/v1/programs/{program_id}/executions"]["post"]["responses"]
    assert " ".join(responses) == "200 202 400 401 403 404 409 413 415 422 502 503 504"
    assert "program-not-ready" in responses["409"]["description"]
    assert "execution-cancelled" in responses["409"]["description"]
    assert "invalid-inputs" in responses["422"]["description"]
    assert "backend-unavailable" in responses["503"]["description"]


def test_the_frameworks_own_errors_are_not_there(document: dict[str, Any]) -> None:
    """This application answers problems alone."""
    assert "HTTPValidationError" not in str(document)
    assert "ValidationError" not in document["components"]["schemas"]


def test_ranges_and_defaults_are_described(document: dict[str, Any]) -> None:
    """Those of the options of a run, and of pages."""
    members = document["components"]["schemas"]["Options"]["properties"]
    ranges = {
        name: (member["minimum"], member["maximum"], member["default"])
        for name, member in members.items()
        if "minimum" in member
    }
    assert ranges["timeout"] == (1, 3_600_000, 30_000)
    assert ranges["max_retries"] == (0, 10, 2)
    assert ranges["retry_delay"] == (0, 60_000, 1_000)
    assert ranges["deadline_ms"] == (1, 86_400_000, 120_000)
    parameters = document["paths"]["/v1/programs"]["get"]["parameters"]
    limit = next(one["schema"] for one in parameters if one["name"] == "limit")
    assert (limit["minimum"], limit["maximum"], limit["default"]) == (1, 200, 50)


def _fits(document: dict[str, Any], name: str, value: Any) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(value)


async def test_answers_are_as_they_are_described(
    client: httpx.AsyncClient, document: dict[str, Any]
) -> None:
    """Each kind of answer fits the schema that the document has for it."""
    program = await post_program(client, retention={"failed_days": 1}, metadata={"a": [1]})
    bad = await post_program(client, {"error": {"type": "rate_limited"}}, name="bad")
    signature = await post_signature(client)
    execution = await post_execution(client, program)
    failed = await post_execution(client, bad, options={"max_retries": 0})
    refused = await post_execution(client, program, {"wat": 1})
    missing = await client.get(f"/v1/executions/{uuid4()}")
    record = await client.get(f"/v1/executions/{failed.json()['execution_id']}")
    revisions = await client.get(f"/v1/programs/{program['program_id']}/revisions")
    statistics = await client.get(f"/v1/programs/{program['program_id']}/statistics")
    state = await client.get(f"/v1/programs/{program['program_id']}/state")
    checks = [
        await client.post(
            f"/v1/signatures/{signature['signature_id']}/check",
            json={"side": "inputs", "values": values},
        )
        for values in (QUESTION, {"wat": 1})
    ]
    _fits(document, "Signature", signature)
    for one in (program, bad):
        _fits(document, "Program", one)
    for answer in (execution, record):
        _fits(document, "Execution", answer.json())
    for answer in (failed, refused, missing):
        _fits(document, "Problem", answer.json())
    _fits(document, "ProgramRevisionList", revisions.json())
    _fits(document, "ProgramStatistics", statistics.json())
    _fits(document, "ProgramState", state.json())
    for check in checks:
        _fits(document, "ValuesCheckReport", check.json())
    lists = {"Signature": "signatures", "Program": "programs", "Execution": "executions"}
    for name, path in lists.items():
        _fits(document, f"{name}List", (await client.get(f"/v1/{path}")).json())
    for path in PROBES - {"/startupz"}:
        _fits(document, "Probe", (await client.get(path)).json())
