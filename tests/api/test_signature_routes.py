"""The routes of signatures."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.factories import NOTATION, post_signature, signature_body

MEMBERS = [
    "signature_id",
    "name",
    "version",
    "status",
    "instructions",
    "description",
    "inputs",
    "outputs",
    "notation",
    "created_at",
    "updated_at",
]


async def test_a_new_signature_is_201_with_its_place(client: httpx.AsyncClient) -> None:
    """The answer has exactly the contract's members, and `Location` leads to the same."""
    answer = await client.post("/v1/signatures", json=signature_body(description="Why not."))
    signature = answer.json()
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/v1/signatures/{signature['signature_id']}"
    assert list(signature) == MEMBERS
    assert (signature["name"], signature["version"]) == ("answer_question", 1)
    assert (signature["status"], signature["description"]) == ("draft", "Why not.")
    assert signature["notation"] == NOTATION
    assert signature["inputs"] == [
        {"name": "question", "type": "string", "constraints": {}, "description": ""}
    ]
    assert signature["created_at"].endswith("Z")
    assert (await client.get(answer.headers["Location"])).json() == signature


async def test_the_same_again_is_200_and_the_same_version(client: httpx.AsyncClient) -> None:
    """Fields that say what the notation said give that version, without a `Location`."""
    signature = await post_signature(client)
    fields = {
        "name": "answer_question",
        "inputs": [{"name": "question", "type": "str"}],
        "outputs": [{"name": "answer", "type": "str"}],
    }
    answer = await client.post("/v1/signatures", json=fields)
    assert (answer.status_code, answer.json()) == (200, signature)
    assert "Location" not in answer.headers


async def test_other_content_is_the_next_version(client: httpx.AsyncClient) -> None:
    """The server counts the versions of a name."""
    await post_signature(client)
    assert (await post_signature(client, notation="a -> b"))["version"] == 2


async def test_fields_come_back_in_canonical_form(client: httpx.AsyncClient) -> None:
    """Outer constraints stand in `constraints`, inner ones in the text; defaults are converted."""
    fields = {
        "name": "tagger",
        "inputs": [
            {
                "name": "tags",
                "type": "constrained[list[constrained[str, max_length=9]], max_length=2]",
                "description": "Some tags.",
                "default": ["a"],
            },
            {"name": "hint", "type": "optional[string]", "default": None},
        ],
        "outputs": [{"name": "score", "type": "float", "constraints": {"min": 0, "max": 1}}],
    }
    answer = await client.post("/v1/signatures", json=fields)
    assert answer.status_code == 201
    tags, hint = answer.json()["inputs"]
    (score,) = answer.json()["outputs"]
    assert tags == {
        "name": "tags",
        "type": "list[constrained[string, max_length=9]]",
        "constraints": {"max_length": 2},
        "description": "Some tags.",
        "default": ["a"],
    }
    assert hint["default"] is None
    assert (score["type"], score["constraints"]) == ("float", {"min": 0, "max": 1})


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"inputs": []},
        {"outputs": []},
        {"notation": NOTATION, "inputs": [], "outputs": []},
        {"notation": NOTATION, "inputs": []},
    ],
)
async def test_a_signature_is_said_in_one_way(
    client: httpx.AsyncClient, members: dict[str, Any]
) -> None:
    """Inputs and outputs, or the notation: none, half and both are refused."""
    answer = await client.post("/v1/signatures", json={"name": "qa", **members})
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/invalid-request"
    (fault,) = answer.json()["errors"]
    assert (fault["path"], fault["code"]) == ("", "value_error")
    assert "give inputs and outputs, or notation" in fault["message"]


async def test_every_fault_of_the_fields_has_its_place(client: httpx.AsyncClient) -> None:
    """Names, types and constraints that cannot be taken are told at once."""
    body = {
        "name": "qa",
        "inputs": [
            {"name": "class", "type": "str"},
            {"name": "n", "type": "integer", "constraints": {"pattern": "a"}},
        ],
        "outputs": [{"name": "n", "type": "wat"}],
    }
    answer = await client.post("/v1/signatures", json=body)
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/invalid-signature"
    assert {fault["path"] for fault in answer.json()["errors"]} == {
        "/inputs/0/name",
        "/inputs/1/constraints/pattern",
        "/outputs/0/name",
        "/outputs/0/type",
    }


@pytest.mark.parametrize(
    "name", ["", "1a", "a b", "a/b", "../a", "a%2e", "é", "a" * 129, "a\n", "-a", "."]
)
async def test_a_name_that_is_none_is_refused(client: httpx.AsyncClient, name: str) -> None:
    """Names begin with a letter or underscore and hold letters, digits, `_`, `.` and `-`."""
    answer = await client.post("/v1/signatures", json=signature_body(name=name))
    assert answer.status_code == 422
    assert [fault["path"] for fault in answer.json()["errors"]] == ["/name"]


@pytest.mark.parametrize("name", ["_", "a", "A.b-c_9", "a" * 128, "con", "__proto__"])
async def test_a_name_that_is_one_is_taken(client: httpx.AsyncClient, name: str) -> None:
    """The contract's pattern is all that is asked of a name."""
    assert (await post_signature(client, name=name))["name"] == name


async def test_an_unknown_signature_is_404(client: httpx.AsyncClient) -> None:
    """The problem names the id."""
    signature_id = uuid4()
    answer = await client.get(f"/v1/signatures/{signature_id}")
    assert answer.status_code == 404
    assert answer.json()["type"] == "/problems/signature-not-found"
    assert str(signature_id) in answer.json()["detail"]


async def test_an_id_in_capitals_is_the_same(client: httpx.AsyncClient) -> None:
    """Ids are compared without case."""
    signature = await post_signature(client)
    answer = await client.get(f"/v1/signatures/{signature['signature_id'].upper()}")
    assert answer.json() == signature


async def test_a_list_is_narrowed_by_name_and_status(client: httpx.AsyncClient) -> None:
    """Each filter narrows, newest first."""
    first = await post_signature(client)
    second = await post_signature(client, notation="a -> b")
    await post_signature(client, name="other")
    answer = await client.get("/v1/signatures", params={"name": "answer_question"})
    assert answer.json() == {"items": [second, first], "next_cursor": None}
    drafts = await client.get("/v1/signatures", params={"status": "draft"})
    assert len(drafts.json()["items"]) == 3
    active = await client.get("/v1/signatures", params={"status": "active"})
    assert active.json() == {"items": [], "next_cursor": None}


async def test_too_many_fields_are_one_fault(client: httpx.AsyncClient) -> None:
    """A crowd of wrong fields is refused as a whole, without a complaint for each."""
    body = {"name": "qa", "inputs": [0] * 200_000, "outputs": []}
    answer = await client.post("/v1/signatures", json=body)
    assert answer.status_code == 422
    assert [fault["path"] for fault in answer.json()["errors"]] == ["/inputs"]
