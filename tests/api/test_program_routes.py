"""The routes of programs."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from app.models.states import ProgramStatus
from app.runtime import Runtime
from tests.support.factories import post_execution, post_program, program_body

MEMBERS = [
    "program_id",
    "name",
    "signature_id",
    "module",
    "adapter",
    "config",
    "revision",
    "status",
    "error",
    "prepared",
    "description",
    "metadata",
    "retention",
    "execution_count",
    "last_executed_at",
    "created_at",
    "updated_at",
]
BROKEN = {"latency_ms": -1}


async def test_a_new_program_is_201_with_its_place(client: httpx.AsyncClient) -> None:
    """The answer has exactly the contract's members, and `Location` leads to the same."""
    body = await program_body(
        client,
        config={"mock": {"outputs": {"answer": "Paris"}}},
        description="It answers.",
        metadata={"team": ["a", {"b": None}]},
        retention={"completed_days": 0, "failed_days": 7},
    )
    answer = await client.post("/v1/programs", json=body)
    program = answer.json()
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/v1/programs/{program['program_id']}"
    assert list(program) == MEMBERS
    assert {name: program[name] for name in body if name != "retention"} == {
        name: body[name] for name in body if name != "retention"
    }
    assert program["retention"] == {"completed_days": 0, "failed_days": 7, "cancelled_days": None}
    assert (program["status"], program["error"], program["prepared"]) == ("ready", None, True)
    assert (program["revision"], program["execution_count"]) == (1, 0)
    assert program["last_executed_at"] is None
    assert program["created_at"].endswith("Z")
    assert (await client.get(answer.headers["Location"])).json() == program


async def test_a_program_that_cannot_be_prepared_is_201_in_error(
    client: httpx.AsyncClient,
) -> None:
    """Its error says why."""
    program = await post_program(client, BROKEN)
    assert (program["status"], program["prepared"]) == ("error", False)
    assert "config.mock.latency_ms" in program["error"]


async def test_a_program_may_be_a_draft_and_be_prepared_later(client: httpx.AsyncClient) -> None:
    """With `initialize` false nothing is prepared until it is asked for."""
    draft = await post_program(client, initialize=False)
    assert (draft["status"], draft["prepared"]) == ("draft", False)
    answer = await client.post(f"/v1/programs/{draft['program_id']}/initialize")
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["prepared"]) == ("ready", True)
    assert list(answer.json()) == MEMBERS


async def test_a_program_that_is_not_there_cannot_be_prepared(client: httpx.AsyncClient) -> None:
    """404, as for a GET."""
    answer = await client.post(f"/v1/programs/{uuid4()}/initialize")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/program-not-found")


async def test_an_archived_program_cannot_be_prepared(
    client: httpx.AsyncClient, runtime: Runtime
) -> None:
    """409 `invalid-transition`."""
    program = await post_program(client)
    async with runtime.database.transaction() as tx:
        await tx.programs.mark(UUID(program["program_id"]), ProgramStatus.ARCHIVED)
    answer = await client.post(f"/v1/programs/{program['program_id']}/initialize")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/invalid-transition")


async def test_a_name_in_use_is_409(client: httpx.AsyncClient) -> None:
    """`name-taken` names it."""
    body = await program_body(client)
    await post_program(client)
    answer = await client.post("/v1/programs", json=body)
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/name-taken")
    assert "answerer" in answer.json()["detail"]


async def test_an_unknown_signature_is_404(client: httpx.AsyncClient) -> None:
    """A program needs a signature that is there."""
    body = await program_body(client, signature_id=str(uuid4()))
    answer = await client.post("/v1/programs", json=body)
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/signature-not-found")


async def test_an_unknown_adapter_is_422(client: httpx.AsyncClient) -> None:
    """The fault points at the adapter and says which there are."""
    answer = await client.post("/v1/programs", json=await program_body(client, adapter="nobody"))
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert (fault["path"], fault["received"]) == ("/adapter", "nobody")
    assert "mock" in fault["expected"]


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"signature_id": "x"}, "/signature_id"),
        ({"signature_id": 5}, "/signature_id"),
        ({"module": "Predict"}, "/module"),
        ({"module": "predict\n"}, "/module"),
        ({"adapter": "a b"}, "/adapter"),
        ({"config": []}, "/config"),
        ({"config": None}, "/config"),
        ({"metadata": "x"}, "/metadata"),
        ({"description": 5}, "/description"),
        ({"description": "a" * 100_001}, "/description"),
        ({"retention": {"completed_days": -1}}, "/retention/completed_days"),
        ({"retention": {"completed_days": 36_501}}, "/retention/completed_days"),
        ({"retention": {"completed_days": True}}, "/retention/completed_days"),
        ({"retention": {"completed_days": "5"}}, "/retention/completed_days"),
        ({"retention": {"completed_days": 1.5}}, "/retention/completed_days"),
        ({"retention": {"other_days": 1}}, "/retention/other_days"),
        ({"retention": []}, "/retention"),
        ({"initialize": 1}, "/initialize"),
        ({"initialize": "true"}, "/initialize"),
        ({"other": 1}, "/other"),
        ({"a/b~c": 1}, "/a~1b~0c"),
        ({"": 1}, "/"),
    ],
)
async def test_what_does_not_fit_is_422_with_its_place(
    client: httpx.AsyncClient, members: dict[str, Any], path: str
) -> None:
    """JSON types are strict, ranges hold, and unknown members are named."""
    answer = await client.post("/v1/programs", json=await program_body(client, **members))
    assert answer.status_code == 422
    assert [fault["path"] for fault in answer.json()["errors"]] == [path]


async def test_all_faults_come_at_once(client: httpx.AsyncClient) -> None:
    """A body with many faults names them all."""
    answer = await client.post("/v1/programs", json={"name": "1", "config": 5, "other": 1})
    assert {fault["path"] for fault in answer.json()["errors"]} == {
        "/name",
        "/signature_id",
        "/module",
        "/adapter",
        "/config",
        "/other",
    }
    codes = {fault["path"]: fault["code"] for fault in answer.json()["errors"]}
    assert (codes["/module"], codes["/other"]) == ("missing", "unknown_field")


async def test_an_unknown_program_is_404(client: httpx.AsyncClient) -> None:
    """So are its revisions."""
    for path in (f"/v1/programs/{uuid4()}", f"/v1/programs/{uuid4()}/revisions"):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/program-not-found")


async def test_an_id_in_capitals_is_the_same(client: httpx.AsyncClient) -> None:
    """Ids are compared without case, in paths and in bodies."""
    program = await post_program(client)
    program_id, signature_id = program["program_id"].upper(), program["signature_id"].upper()
    assert (await client.get(f"/v1/programs/{program_id}")).json() == program
    found = await client.get("/v1/programs", params={"signature_id": signature_id})
    assert found.json()["items"] == [program]
    other = await post_program(client, name="other", signature_id=signature_id)
    assert other["signature_id"] == program["signature_id"]


async def test_the_revisions_say_what_a_program_was(client: httpx.AsyncClient) -> None:
    """A new program has one."""
    program = await post_program(client)
    answer = await client.get(f"/v1/programs/{program['program_id']}/revisions")
    (revision,) = answer.json()["items"]
    assert list(answer.json()) == ["items"]
    assert list(revision) == ["revision", "adapter", "config", "state", "created_at"]
    assert (revision["revision"], revision["adapter"]) == (1, "mock")
    assert (revision["config"], revision["state"]) == (program["config"], None)


async def test_a_list_is_narrowed_by_name_status_and_signature(
    client: httpx.AsyncClient,
) -> None:
    """Each filter narrows, newest first."""
    first = await post_program(client)
    second = await post_program(client, BROKEN, name="broken")
    third = await post_program(client, name="third", notation="a -> b", initialize=False)

    async def listed(**params: str) -> list[Any]:
        answer = await client.get("/v1/programs", params=params)
        return list(answer.json()["items"])

    assert await listed() == [third, second, first]
    assert await listed(name="broken") == [second]
    assert await listed(status="draft") == [third]
    assert await listed(signature_id=first["signature_id"]) == [second, first]
    assert await listed(name="broken", status="ready") == []


async def test_runs_show_on_the_program(client: httpx.AsyncClient) -> None:
    """The count and the time of the last run rise, for failed runs too."""
    program = await post_program(client, {"error": {"type": "invalid_request"}})
    await post_execution(client, program)
    after = (await client.get(f"/v1/programs/{program['program_id']}")).json()
    assert after["execution_count"] == 1
    assert after["last_executed_at"].endswith("Z")
