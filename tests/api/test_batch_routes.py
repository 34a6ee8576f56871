"""Batches over HTTP, as the contract says: accepted, shown, waited for, and what came of them."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.runtime import open_runtime
from app.settings import Settings, WorkerSettings
from tests.support.batches import questions
from tests.support.factories import post_batch, post_program

MEMBERS = [
    "batch_id",
    "batch_execution_id",
    "program_id",
    "program_revision",
    "status",
    "retry_of",
    "batch_options",
    "total_items",
    "pending_items",
    "running_items",
    "successful_items",
    "failed_items",
    "cancelled_items",
    "success_rate",
    "progress",
    "total_duration_ms",
    "average_item_duration_ms",
    "percentiles",
    "usage",
    "retries",
    "summary",
    "successful_outputs",
    "failures",
    "error",
    "metadata",
    "created_at",
    "started_at",
    "finished_at",
]
DEFAULTS = {
    "batch_size": 10,
    "max_concurrency": 4,
    "timeout_per_item": 30_000,
    "continue_on_error": True,
    "retry_failed": True,
    "max_retries": 2,
    "retry_delay": 1_000,
    "max_repairs": 0,
    "progress_callback": None,
}
WAIT = {"Prefer": "wait=30"}
REPLAYED = "Idempotency-Replayed"


async def get_batch(client: httpx.AsyncClient, batch: Mapping[str, Any]) -> dict[str, Any]:
    """Read a batch."""
    return dict((await client.get(f"/v1/batches/{batch['batch_id']}")).json())


async def test_a_batch_is_accepted_and_shown(client: httpx.AsyncClient) -> None:
    """At once, where it is found, with every member that the contract names; nobody works here."""
    program = await post_program(client)
    answer = await post_batch(client, program, questions(3), metadata={"a": [1, 1.0]})
    batch = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/batches/{batch['batch_id']}"
    assert "preference-applied" not in answer.headers
    assert list(batch) == MEMBERS
    assert batch["batch_execution_id"] == batch["batch_id"]
    assert (batch["program_id"], batch["program_revision"]) == (program["program_id"], 1)
    assert batch["batch_options"] == DEFAULTS
    assert (batch["status"], batch["total_items"], batch["pending_items"]) == ("pending", 3, 3)
    assert (batch["success_rate"], batch["progress"]) == (
        0.0,
        {"done": 0, "rate_per_s": 0.0, "eta_ms": None},
    )
    assert batch["summary"] == {"completed": 0, "failed": 0, "total": 3, "duration_seconds": None}
    assert batch["percentiles"] == dict.fromkeys(["p50", "p90", "p95", "p99"])
    assert (batch["average_item_duration_ms"], batch["total_duration_ms"]) == (0.0, None)
    assert (batch["successful_outputs"], batch["failures"]) == (None, None)
    assert (batch["metadata"], batch["started_at"]) == ({"a": [1, 1.0]}, None)
    assert await get_batch(client, batch) == batch
    listed = (await client.get("/v1/executions", params={"batch_id": batch["batch_id"]})).json()
    assert [one["item_index"] for one in listed["items"]] == [2, 1, 0]
    assert {one["status"] for one in listed["items"]} == {"pending"}


@pytest.mark.usefixtures("working")
async def test_a_batch_that_is_waited_for_is_shown_with_its_results(
    client: httpx.AsyncClient,
) -> None:
    """200 once it has ended: counts, figures, outputs and failures by index."""
    program = await post_program(client, {})
    answer = await post_batch(client, program, questions(12), headers=WAIT)
    batch = answer.json()
    assert (answer.status_code, batch["status"]) == (200, "completed")
    assert answer.headers["preference-applied"] == "wait=30"
    assert (batch["successful_items"], batch["success_rate"]) == (12, 1.0)
    assert [one["index"] for one in batch["successful_outputs"]] == list(range(12))
    assert all(set(one) == {"index", "custom_id", "outputs"} for one in batch["successful_outputs"])
    assert (batch["failures"], batch["error"], batch["retries"]) == ([], None, 0)
    assert batch["usage"]["lm_calls"] == 12
    assert batch["progress"]["done"] == 12
    assert batch["progress"]["eta_ms"] == 0
    assert batch["total_duration_ms"] > 0
    assert batch["percentiles"]["p50"] is not None
    assert batch["summary"]["completed"] == 12
    assert batch["summary"]["duration_seconds"] == pytest.approx(
        batch["total_duration_ms"] / 1_000, abs=1e-6
    )


@pytest.mark.usefixtures("working")
async def test_items_that_fail_are_told_with_their_reason(client: httpx.AsyncClient) -> None:
    """The batch is completed all the same; each failure says what was asked and what went wrong."""
    script = {"error": {"type": "authentication", "message": "no such key"}}
    program = await post_program(client, script)
    batch = (await post_batch(client, program, questions(2), headers=WAIT)).json()
    assert (batch["status"], batch["failed_items"], batch["success_rate"]) == ("completed", 2, 0.0)
    first = batch["failures"][0]
    assert set(first) == {
        "index",
        "custom_id",
        "inputs",
        "error",
        "outcome",
        "status",
        "duration_ms",
    }
    assert (first["index"], first["inputs"], first["status"]) == (0, {"question": "0"}, "failed")
    assert (first["error"]["type"], first["outcome"]) == ("authentication", "execution_error")


async def test_an_empty_batch_completes_at_once(client: httpx.AsyncClient) -> None:
    """Nobody need work for that."""
    answer = await post_batch(client, await post_program(client), [])
    batch = answer.json()
    assert (answer.status_code, batch["status"]) == (202, "completed")
    assert (batch["success_rate"], batch["successful_outputs"], batch["failures"]) == (None, [], [])
    assert (
        await post_batch(client, {"program_id": batch["program_id"]}, [], headers=WAIT)
    ).status_code == 200


HUGE = 10**30
BAD: dict[str, list[Any]] = {
    "batch_size": [0, -1, 1_001, HUGE, "10", 1.5, True, None],
    "max_concurrency": [0, -1, 1_001, HUGE, "4", 2.5, False, None],
    "timeout_per_item": [0, -1, 3_600_001, HUGE, "1", 0.5, None],
    "continue_on_error": [0, 1, "true", None, []],
    "retry_failed": [0, 1, "false", None, {}],
    "max_retries": [-1, 11, HUGE, "2", 1.5, True, None],
    "retry_delay": [-1, 60_001, HUGE, "0", None],
    "max_repairs": [-1, 6, HUGE, "1", None],
    "unknown": [1, None],
    "progress_callback": ["https://example.org"],
}


@pytest.mark.parametrize("option", BAD)
async def test_an_option_out_of_range_is_refused_by_name(
    client: httpx.AsyncClient, option: str
) -> None:
    """At zero, negative, huge, of a wrong type, or unknown: 422 at its place, nothing accepted."""
    program = await post_program(client)
    for value in BAD[option]:
        answer = await post_batch(client, program, questions(1), batch_options={option: value})
        assert answer.status_code == 422, (option, value, answer.text)
        paths = [fault["path"] for fault in answer.json()["errors"]]
        assert paths == [f"/batch_options/{option}"]
    assert (await client.get("/v1/batches")).json()["items"] == []


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "/batch_inputs"),
        ({"batch_inputs": {}}, "/batch_inputs"),
        ({"batch_inputs": "x"}, "/batch_inputs"),
        ({"batch_inputs": [], "on_invalid": "drop"}, "/on_invalid"),
        ({"batch_inputs": [], "metadata": []}, "/metadata"),
        ({"batch_inputs": [], "batch_options": 1}, "/batch_options"),
        ({"batch_inputs": [], "more": 1}, "/more"),
    ],
)
async def test_a_body_that_is_not_the_contracts_is_refused(
    client: httpx.AsyncClient, body: dict[str, Any], path: str
) -> None:
    """422 that names the place."""
    program = await post_program(client)
    answer = await client.post(f"/v1/programs/{program['program_id']}/batches", json=body)
    assert answer.status_code == 422
    assert [fault["path"] for fault in answer.json()["errors"]] == [path]


async def test_every_fault_of_every_item_is_told_at_once(client: httpx.AsyncClient) -> None:
    """At its place, the first thousand of them, and how many there are."""
    program = await post_program(
        client, notation="question: string, n: integer = 1 -> answer: string"
    )
    inputs = [{"question": "a"}, {"question": 1, "n": "x"}, 5, {}, {"question": "b", "other": 1}]
    problem = (await post_batch(client, program, inputs)).json()
    assert problem["type"] == "/problems/invalid-inputs"
    assert {fault["path"] for fault in problem["errors"]} == {
        "/batch_inputs/1/question",
        "/batch_inputs/1/n",
        "/batch_inputs/2",
        "/batch_inputs/3/question",
        "/batch_inputs/4/other",
    }
    assert problem["error_count"] == 5
    many = (await post_batch(client, program, [{}] * 1_500)).json()
    assert (len(many["errors"]), many["error_count"]) == (1_000, 1_500)
    assert many["errors"][-1]["path"] == "/batch_inputs/999/question"
    assert (await client.get("/v1/executions")).json()["items"] == []


@pytest.mark.usefixtures("working")
async def test_invalid_items_are_recorded_where_that_is_asked_for(
    client: httpx.AsyncClient,
) -> None:
    """They have failed, with their faults and their inputs as they came; the others run."""
    program = await post_program(client)
    inputs = [{"question": "a"}, {"question": 1}, 5, {"question": "b"}]
    batch = (await post_batch(client, program, inputs, on_invalid="record", headers=WAIT)).json()
    assert (batch["status"], batch["successful_items"], batch["failed_items"]) == (
        "completed",
        2,
        2,
    )
    assert [one["index"] for one in batch["successful_outputs"]] == [0, 3]
    first, second = batch["failures"]
    assert (first["index"], first["inputs"]) == (1, {"question": 1})
    assert (second["index"], second["inputs"]) == (2, 5)
    assert (first["outcome"], first["error"]["type"]) == ("validation_error", "validation_failed")
    (fault,) = first["error"]["context"]["faults"]
    assert fault["path"] == "/inputs/question"
    counted = (await client.get(f"/v1/programs/{program['program_id']}")).json()
    assert counted["execution_count"] == 4


@pytest.mark.usefixtures("working")
async def test_an_item_is_known_by_its_own_name(client: httpx.AsyncClient) -> None:
    """Wherever it is shown, and in a batch that runs it again; names are unique in a batch."""
    program = await post_program(client)
    inputs = [
        {"custom_id": "a", "inputs": {"question": "?"}},
        {"custom_id": "b", "inputs": {}},
        {"question": "?"},
    ]
    batch = (await post_batch(client, program, inputs, on_invalid="record", headers=WAIT)).json()
    assert [one["custom_id"] for one in batch["successful_outputs"]] == ["a", None]
    (failure,) = batch["failures"]
    assert (failure["index"], failure["custom_id"], failure["inputs"]) == (1, "b", {})
    path = f"/v1/batches/{batch['batch_id']}"
    results = (await client.get(f"{path}/results")).json()["items"]
    assert [one["custom_id"] for one in results] == ["a", "b", None]
    execution = (await client.get(f"/v1/executions/{results[0]['execution_id']}")).json()
    assert (execution["custom_id"], execution["inputs"]) == ("a", {"question": "?"})
    again = (await client.post(f"{path}/retry-failed", headers=WAIT)).json()
    assert [(one["index"], one["custom_id"]) for one in again["failures"]] == [(1, "b")]
    answer = await post_batch(client, program, [inputs[0], inputs[0], inputs[1]])
    assert answer.status_code == 422
    assert [fault["path"] for fault in answer.json()["errors"]] == [
        "/batch_inputs/1/custom_id",
        "/batch_inputs/2/inputs/question",
    ]


async def test_what_an_execution_would_be_refused_a_batch_is(client: httpx.AsyncClient) -> None:
    """An unknown program, and one that is not ready, in the same words."""
    answer = await post_batch(client, {"program_id": uuid4()}, [])
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/program-not-found")
    program = await post_program(client, initialize=False)
    answer = await post_batch(client, program, questions(1))
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/program-not-ready")
    assert answer.json()["program_status"] == "draft"


async def test_what_is_not_there_is_not_found(client: httpx.AsyncClient) -> None:
    """Whatever is asked of it."""
    path = f"/v1/batches/{uuid4()}"
    acts = ("pause", "resume", "cancel", "retry-failed")
    answers = [await client.post(f"{path}/{act}") for act in acts]
    answers += [await client.get(path), await client.get(f"{path}/results")]
    assert {answer.status_code for answer in answers} == {404}
    assert {answer.json()["type"] for answer in answers} == {"/problems/batch-not-found"}


async def test_batches_are_listed_newest_first(client: httpx.AsyncClient) -> None:
    """In pages, of a program, of a status; without their items."""
    first, second = await post_program(client), await post_program(client, name="other")
    ids = [
        (await post_batch(client, program, inputs)).json()["batch_id"]
        for program, inputs in ((first, []), (second, questions(2)), (first, questions(1)))
    ]

    async def listed(**params: Any) -> list[str]:
        page = (await client.get("/v1/batches", params=params)).json()
        return [one["batch_id"] for one in page["items"]]

    assert await listed() == ids[::-1]
    assert await listed(program_id=first["program_id"]) == [ids[2], ids[0]]
    assert await listed(status="completed") == [ids[0]]
    page = (await client.get("/v1/batches", params={"limit": 2})).json()
    assert [one["batch_id"] for one in page["items"]] == ids[:0:-1]
    assert page["items"][0]["successful_outputs"] is None
    assert await listed(cursor=page["next_cursor"]) == [ids[0]]
    assert (await client.get("/v1/batches", params={"status": "ready"})).status_code == 422


async def test_a_batch_is_paused_and_resumed(client: httpx.AsyncClient) -> None:
    """Each once, and only where its status allows it."""
    batch = (await post_batch(client, await post_program(client), questions(3))).json()
    path = f"/v1/batches/{batch['batch_id']}"
    assert (await client.post(f"{path}/resume")).status_code == 409
    answer = await client.post(f"{path}/pause")
    assert (answer.status_code, answer.json()["status"]) == (200, "paused")
    again = await client.post(f"{path}/pause")
    assert (again.status_code, again.json()["type"]) == (409, "/problems/invalid-transition")
    assert again.json()["detail"] == "The batch is paused."
    answer = await client.post(f"{path}/resume")
    assert (answer.status_code, answer.json()["status"]) == (200, "running")


async def test_a_batch_that_is_cancelled_ends_so(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    """202 at once, as often as is asked before the end; what never ran is cancelled; then 409."""
    batch = (await post_batch(client, await post_program(client), questions(3))).json()
    path = f"/v1/batches/{batch['batch_id']}"
    for _ in range(2):
        answer = await client.post(f"{path}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (202, "pending")
    paused = await client.post(f"{path}/pause")
    assert paused.json()["detail"] == "The batch is about to be cancelled."
    worker = settings.model_copy(update={"worker": WorkerSettings()})
    async with open_runtime(worker):
        batch = (await client.get(path, params={"wait_ms": 30_000})).json()
    assert (batch["status"], batch["cancelled_items"]) == ("cancelled", 3)
    assert [one["status"] for one in batch["failures"]] == ["cancelled"] * 3
    answer = await client.post(f"{path}/cancel")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/invalid-transition")


@pytest.mark.usefixtures("working")
async def test_the_rest_of_a_batch_is_run_again(client: httpx.AsyncClient) -> None:
    """As a new batch with the old indexes; the old one stays as it was."""
    script = {"error": {"type": "authentication", "message": "no such key"}}
    program = await post_program(client, script)
    inputs = [{}, *questions(3)]
    old = (await post_batch(client, program, inputs, on_invalid="record", headers=WAIT)).json()
    path = f"/v1/programs/{program['program_id']}"
    await client.patch(path, json={"config": {"mock": {"outputs": {"answer": "A"}}}})
    retry = f"/v1/batches/{old['batch_id']}/retry-failed"
    answer = await client.post(retry, json={"batch_options": {"batch_size": 3}}, headers=WAIT)
    new = answer.json()
    assert (answer.status_code, new["retry_of"]) == (200, old["batch_id"])
    assert (new["total_items"], new["successful_items"], new["failed_items"]) == (4, 3, 1)
    assert [one["index"] for one in new["successful_outputs"]] == [1, 2, 3]
    assert new["batch_options"] == {**DEFAULTS, "batch_size": 3}
    assert new["program_revision"] == 2
    assert await get_batch(client, old) == old
    results = f"/v1/batches/{new['batch_id']}/results"
    found = (await client.get(results, params={"from_index": 2})).json()["items"]
    assert [one["index"] for one in found] == [2, 3]
    third = (await client.post(f"/v1/batches/{new['batch_id']}/retry-failed", headers=WAIT)).json()
    assert (third["retry_of"], third["total_items"]) == (new["batch_id"], 1)
    assert third["failures"][0]["index"] == 0


@pytest.mark.usefixtures("working")
async def test_only_an_ended_batch_with_a_rest_is_run_again(client: httpx.AsyncClient) -> None:
    """409 before its end, and where every item is completed."""
    program = await post_program(client, {"latency_ms": 60_000})
    running = (await post_batch(client, program, questions(1))).json()
    answer = await client.post(f"/v1/batches/{running['batch_id']}/retry-failed")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/invalid-transition")
    whole = (await post_batch(client, program, [])).json()
    answer = await client.post(f"/v1/batches/{whole['batch_id']}/retry-failed")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/nothing-to-retry")
    await client.post(f"/v1/batches/{running['batch_id']}/cancel")


async def test_a_key_makes_one_batch(client: httpx.AsyncClient) -> None:
    """The same is answered again; another request under the key is refused."""
    program = await post_program(client)
    headers = {"Idempotency-Key": "k"}
    first = await post_batch(client, program, questions(2), headers=headers)
    again = await post_batch(client, program, questions(2), headers=headers)
    other = await post_batch(client, program, questions(3), headers=headers)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == first.json()
    assert REPLAYED not in first.headers or first.headers[REPLAYED] == "false"
    assert again.headers[REPLAYED] == "true"
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert len((await client.get("/v1/batches")).json()["items"]) == 1


async def test_waiting_is_for_as_long_as_is_asked(client: httpx.AsyncClient) -> None:
    """202 where it has not ended by then; a wait of none is as good as no preference."""
    program = await post_program(client)
    for prefer in ("wait=0", "wait=1"):
        answer = await post_batch(client, program, questions(1), headers={"Prefer": prefer})
        assert (answer.status_code, answer.headers["preference-applied"]) == (202, prefer)
    answer = await post_batch(client, program, questions(1), headers={"Prefer": "wait=soon"})
    assert "preference-applied" not in answer.headers
