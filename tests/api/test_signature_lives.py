"""What becomes of signatures over HTTP: moves, deletion, and values held against them."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.factories import post_program, post_signature, program_body


async def _move(client: httpx.AsyncClient, signature: dict[str, Any], way: str) -> httpx.Response:
    return await client.post(f"/v1/signatures/{signature['signature_id']}/{way}")


async def test_a_signature_goes_from_draft_to_active_to_deprecated(
    client: httpx.AsyncClient,
) -> None:
    """Each move answers the signature as it is then."""
    draft = await post_signature(client)
    active = await _move(client, draft, "activate")
    assert (active.status_code, active.json()["status"]) == (200, "active")
    deprecated = await _move(client, draft, "deprecate")
    assert (deprecated.status_code, deprecated.json()["status"]) == (200, "deprecated")
    found = await client.get("/v1/signatures", params={"status": "deprecated"})
    assert found.json()["items"] == [deprecated.json()]


@pytest.mark.parametrize(
    "ways",
    [
        ["deprecate"],
        ["activate", "activate"],
        ["activate", "deprecate", "activate"],
        ["activate", "deprecate", "deprecate"],
    ],
)
async def test_another_move_is_409(client: httpx.AsyncClient, ways: list[str]) -> None:
    """The last of these ways is `invalid-transition`, and says where the signature stands."""
    signature = await post_signature(client)
    answers = [await _move(client, signature, way) for way in ways]
    assert [answer.status_code for answer in answers[:-1]] == [200] * (len(ways) - 1)
    assert (answers[-1].status_code, answers[-1].json()["type"]) == (
        409,
        "/problems/invalid-transition",
    )
    assert "cannot become" in answers[-1].json()["detail"]


async def test_programs_on_a_deprecated_signature_run_on(client: httpx.AsyncClient) -> None:
    """A new one is refused."""
    program = await post_program(client)
    for way in ("activate", "deprecate"):
        await _move(client, program, way)
    run = await client.post(
        f"/v1/programs/{program['program_id']}/executions", json={"inputs": {"question": "?"}}
    )
    assert run.status_code == 200
    refused = await client.post("/v1/programs", json=await program_body(client, name="second"))
    assert (refused.status_code, refused.json()["type"]) == (
        409,
        "/problems/signature-deprecated",
    )


async def test_an_unused_signature_is_deleted(client: httpx.AsyncClient) -> None:
    """204 without a body; then it is gone."""
    signature = await post_signature(client)
    path = f"/v1/signatures/{signature['signature_id']}"
    answer = await client.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    for gone in (await client.get(path), await client.delete(path)):
        assert (gone.status_code, gone.json()["type"]) == (404, "/problems/signature-not-found")


async def test_a_signature_with_programs_is_not_deleted(client: httpx.AsyncClient) -> None:
    """Nor once they are archived: 409 `signature-in-use`."""
    program = await post_program(client)
    for _ in range(2):
        answer = await client.delete(f"/v1/signatures/{program['signature_id']}")
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/signature-in-use")
        await client.post(f"/v1/programs/{program['program_id']}/archive")


async def test_a_deletion_and_a_program_at_once_never_both_succeed(
    client: httpx.AsyncClient,
) -> None:
    """Either the program has its signature, or there is neither."""
    for number in range(10):
        body = await program_body(client, notation=f"question -> answer{number}", name=f"p{number}")
        path = f"/v1/signatures/{body['signature_id']}"
        created, deleted = await asyncio.gather(
            client.post("/v1/programs", json=body), client.delete(path)
        )
        assert (created.status_code, deleted.status_code) in {(201, 409), (404, 204)}


@pytest.mark.parametrize("way", ["activate", "deprecate", "check"])
async def test_an_unknown_signature_is_404(client: httpx.AsyncClient, way: str) -> None:
    """Whatever is asked of it."""
    body = {"side": "inputs", "values": {}} if way == "check" else None
    answer = await client.post(f"/v1/signatures/{uuid4()}/{way}", json=body)
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/signature-not-found")


async def _check(client: httpx.AsyncClient, **body: Any) -> httpx.Response:
    notation = (
        'question: string, tags: list[integer] = [], hint: optional[string] -> mood: atom["a", "b"]'
    )
    signature = await post_signature(client, notation=notation)
    return await client.post(f"/v1/signatures/{signature['signature_id']}/check", json=body)


async def test_values_that_fit_come_back_converted(client: httpx.AsyncClient) -> None:
    """With their defaults, as an execution would have them."""
    answer = await _check(client, side="inputs", values={"question": "?", "tags": ["1", 2.0]})
    assert answer.status_code == 200
    assert answer.json() == {
        "valid": True,
        "values": {"question": "?", "tags": [1, 2], "hint": None},
        "errors": [],
    }


async def test_values_that_do_not_fit_have_every_fault_told(client: httpx.AsyncClient) -> None:
    """Each with its place; there are no values then."""
    answer = await _check(client, side="inputs", values={"tags": ["x", 1, {}], "other": 1})
    assert answer.status_code == 200
    report = answer.json()
    assert (report["valid"], report["values"]) == (False, None)
    paths = {fault["path"] for fault in report["errors"]}
    assert paths == {"/values/question", "/values/tags/0", "/values/tags/2", "/values/other"}
    missing = next(fault for fault in report["errors"] if fault["path"] == "/values/question")
    assert list(missing) == ["path", "code", "message", "expected"]


@pytest.mark.parametrize(("mood", "valid"), [("a", True), ("c", False)])
async def test_the_other_side_is_checked_as_well(
    client: httpx.AsyncClient, mood: str, *, valid: bool
) -> None:
    """What a model would answer."""
    answer = await _check(client, side="outputs", values={"mood": mood})
    assert answer.json()["valid"] is valid


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"side": "both", "values": {}}, "/side"),
        ({"side": "inputs", "values": []}, "/values"),
        ({"side": "inputs", "values": None}, "/values"),
        ({"side": "inputs"}, "/values"),
        ({"side": "inputs", "values": {}, "wat": 1}, "/wat"),
    ],
)
async def test_a_check_that_is_none_is_422(
    client: httpx.AsyncClient, body: dict[str, Any], path: str
) -> None:
    """The request itself is strict."""
    answer = await _check(client, **body)
    assert answer.status_code == 422
    assert [fault["path"] for fault in answer.json()["errors"]] == [path]


async def test_other_instructions_are_another_version(client: httpx.AsyncClient) -> None:
    """Another description of the whole is not: it is for people."""
    first = await post_signature(client, instructions="Be brief.", description="One.")
    assert await post_signature(client, instructions="Be brief.", description="Two.") == first
    second = await post_signature(client, instructions="Be long.")
    assert (first["version"], second["version"]) == (1, 2)
    assert await post_signature(client, instructions="Be brief.") == first


async def test_other_words_on_a_field_are_another_version(client: httpx.AsyncClient) -> None:
    """A field's description is told to the model."""
    versions = []
    for words in ("a", "b", "a"):
        body = {
            "name": "qa",
            "inputs": [{"name": "question", "type": "string", "description": words}],
            "outputs": [{"name": "answer", "type": "string"}],
        }
        answer = await client.post("/v1/signatures", json=body)
        versions.append((answer.status_code, answer.json()["version"]))
    assert versions == [(201, 1), (201, 2), (200, 1)]
