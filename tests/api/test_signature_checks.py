"""The routes that validate, write and compare signatures."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.database import Database
from app.models.scopes import Scope
from tests.support.factories import a_key, bearing

NOTATION = "question: constrained[string, max_length=200] -> answer, sure: probability"


async def a_signature(client: httpx.AsyncClient, notation: str = NOTATION, **more: Any) -> str:
    """Create a signature and give its id."""
    body = {"name": "answer-question", "notation": notation, **more}
    answer = await client.post("/v1/signatures", json=body)
    assert answer.status_code in {200, 201}, answer.text
    return str(answer.json()["signature_id"])


async def test_a_stored_signature_is_validated(client: httpx.AsyncClient) -> None:
    """The report says which it is about, and has every step of the level."""
    signature_id = await a_signature(client)
    answer = await client.post(
        f"/v1/signatures/{signature_id}/validate", json={"validation_level": "deep"}
    )
    assert answer.status_code == 200
    report = answer.json()
    assert report["signature"] == {
        "signature_id": signature_id,
        "name": "answer-question",
        "version": 1,
    }
    assert report.keys() == {
        *("signature", "signature_module", "validation_level", "timestamp", "overall_valid"),
        *("failed_step", "results", "summary"),
    }
    assert report["overall_valid"] is True
    assert report["timestamp"].endswith("Z")
    assert len(report["results"]) == 7
    adapters = report["results"]["adapter_compatibility"]["adapter_compatibility"]
    assert adapters["mock"] == {"compatible": True}
    assert adapters["dspy"]["converted"]["lost"] == [
        "question: constrained[string, max_length=200] comes back as string",
        "sure: probability comes back as constrained[float, min=0, max=1]",
    ]
    assert report["summary"] == {
        "module_loading": True,
        "structure_valid": True,
        "types_valid": True,
        "total_checks": 7,
        "passed_checks": 7,
    }


async def test_the_level_is_standard(client: httpx.AsyncClient) -> None:
    """Where nothing else is asked for."""
    answer = await client.post(f"/v1/signatures/{await a_signature(client)}/validate", json={})
    assert (answer.json()["validation_level"], len(answer.json()["results"])) == ("standard", 4)


async def test_what_is_wrong_stands_in_the_report(client: httpx.AsyncClient) -> None:
    """A definition is validated and not stored, whatever is wrong with its fields."""
    bodies: list[tuple[dict[str, Any], str]] = [
        ({"inputs": [], "outputs": []}, "signature_structure"),
        ({"notation": "a: wat -> b"}, "type_definitions"),
        ({"notation": "a, a -> b"}, "signature_structure"),
        ({"notation": "a"}, "module_loading"),
        ({"signature_module": "os:path"}, "module_loading"),
        (
            {
                "inputs": [{"name": "a", "type": "integer", "constraints": {"min": 2, "max": 1}}],
                "outputs": [{"name": "b", "type": "str"}],
            },
            "type_definitions",
        ),
    ]
    for body, failed_step in bodies:
        answer = await client.post("/v1/signatures/validate", json=body)
        assert answer.status_code == 200, answer.text
        report = answer.json()
        assert (report["overall_valid"], report["failed_step"]) == (False, failed_step)
        assert report["signature"] is None
        assert "error" in report["results"][failed_step]
    assert (await client.get("/v1/signatures")).json()["items"] == []


async def test_a_sound_definition(client: httpx.AsyncClient) -> None:
    """Is valid, and its report has no errors."""
    body = {"name": "qa", "notation": "a -> b", "validation_level": "comprehensive"}
    report = (await client.post("/v1/signatures/validate", json=body)).json()
    assert report["overall_valid"] is True
    assert not any("error" in result for result in report["results"].values())
    assert "measured" not in report["results"]["performance_characteristics"]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"notation": "a -> b", "validation_level": "all"}, "/validation_level"),
        ({"notation": "a -> b", "more": 1}, "/more"),
        ({}, ""),
        ({"notation": "a -> b", "signature_module": "a:B"}, ""),
        ({"inputs": [{"name": "a", "type": "str"}] * 10_000, "outputs": []}, "/inputs"),
    ],
    ids=range(5),
)
async def test_bodies_that_are_none(
    client: httpx.AsyncClient, body: dict[str, Any], path: str
) -> None:
    """What is wrong beside the fields is a fault of the request."""
    answer = await client.post("/v1/signatures/validate", json=body)
    assert answer.status_code == 422
    assert path in [fault["path"] for fault in answer.json()["errors"]]


async def test_a_module_that_is_not_allowed_is_not_created(client: httpx.AsyncClient) -> None:
    """The problem names the member."""
    body = {"name": "qa", "signature_module": "os:path"}
    answer = await client.post("/v1/signatures", json=body)
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/invalid-signature"
    assert [fault["path"] for fault in answer.json()["errors"]] == ["/signature_module"]


@pytest.mark.parametrize("side", ["inputs", "outputs"])
@pytest.mark.parametrize(
    "target", ["json_schema", "openai_function", "anthropic_function", "python_type"]
)
async def test_every_target_writes_both_sides(
    client: httpx.AsyncClient, target: str, side: str
) -> None:
    """The document, and what it cannot hold."""
    signature_id = await a_signature(client)
    params = {"target": target, "side": side}
    answer = await client.get(f"/v1/signatures/{signature_id}/schema", params=params)
    assert answer.status_code == 200
    assert answer.json().keys() == {"target", "side", "document", "notes"}
    assert (answer.json()["target"], answer.json()["side"]) == (target, side)
    is_text = isinstance(answer.json()["document"], str)
    assert is_text is (target == "python_type")


async def test_the_schema_is_that_of_the_inputs(client: httpx.AsyncClient) -> None:
    """As JSON Schema, where nothing else is asked for."""
    answer = await client.get(f"/v1/signatures/{await a_signature(client)}/schema")
    properties = answer.json()["document"]["properties"]
    assert properties == {"question": {"type": "string", "maxLength": 200}}


async def test_what_a_provider_refuses_is_noted(client: httpx.AsyncClient) -> None:
    """Among the notes."""
    signature_id = await a_signature(client, "é -> b")
    params = {"target": "anthropic_function"}
    answer = await client.get(f"/v1/signatures/{signature_id}/schema", params=params)
    assert answer.json()["notes"][-1].startswith("not taken: é")


async def test_versions_are_compared(client: httpx.AsyncClient) -> None:
    """Each change, and whether the new one can replace the old."""
    old = await a_signature(client, "a: integer, b -> c")
    new = await a_signature(client, "a: float -> c, d", instructions="Do.")
    answer = await client.get(f"/v1/signatures/{old}/compare", params={"with": new})
    assert answer.status_code == 200
    assert answer.json() == {
        "compatible": False,
        "changes": [
            {
                "field": "a",
                "side": "inputs",
                "change": "type_widened",
                "breaking": False,
                "detail": "integer → float",
            },
            {
                "field": "b",
                "side": "inputs",
                "change": "removed",
                "breaking": True,
                "detail": "b: string",
            },
            {
                "field": "d",
                "side": "outputs",
                "change": "added",
                "breaking": False,
                "detail": "d: string",
            },
            {
                "field": None,
                "side": None,
                "change": "text_changed",
                "breaking": False,
                "detail": "the instructions are others",
            },
        ],
    }
    same = await client.get(f"/v1/signatures/{old}/compare", params={"with": old})
    assert same.json() == {"compatible": True, "changes": []}


async def test_unknown_signatures_are_404(client: httpx.AsyncClient) -> None:
    """On every route, and on either side of a comparison."""
    known, unknown = await a_signature(client), str(uuid4())
    answers = await asyncio.gather(
        client.post(f"/v1/signatures/{unknown}/validate", json={}),
        client.get(f"/v1/signatures/{unknown}/schema"),
        client.get(f"/v1/signatures/{unknown}/compare", params={"with": known}),
        client.get(f"/v1/signatures/{known}/compare", params={"with": unknown}),
    )
    assert {answer.status_code for answer in answers} == {404}
    assert {answer.json()["type"] for answer in answers} == {"/problems/signature-not-found"}


@pytest.mark.parametrize(
    "query",
    ["target=yaml", "side=both", "with=x", "more=1"],
    ids=["target", "side", "with", "more"],
)
async def test_queries_that_are_none(client: httpx.AsyncClient, query: str) -> None:
    """Are refused by name."""
    signature_id = await a_signature(client)
    route = "compare" if query.startswith("with") else "schema"
    answer = await client.get(f"/v1/signatures/{signature_id}/{route}?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == f"/query/{query.partition('=')[0]}"


async def test_importing_asks_for_another_scope(
    keyed_client: httpx.AsyncClient, database: Database
) -> None:
    """Who may only read validates fields and notation; a module, which runs code, is refused."""
    fields, module = {"notation": "a -> b"}, {"signature_module": "os:path"}
    for scope, expected in ((Scope.READ, 403), (Scope.MANAGE, 200), (Scope.ADMIN, 200)):
        headers = bearing(await a_key(database, scope))
        answers = [
            (await keyed_client.post("/v1/signatures/validate", json=body, headers=headers))
            for body in (fields, module)
        ]
        assert [answer.status_code for answer in answers] == [200, expected]
        assert answers[1].status_code != 200 or answers[1].json()["failed_step"] == "module_loading"
