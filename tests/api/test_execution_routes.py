"""The routes of executions."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from app.models.states import ProgramStatus
from app.runtime import Runtime
from tests.support.factories import NOTATION, QUESTION, post_execution, post_program

MEMBERS = [
    "execution_id",
    "program_id",
    "program_name",
    "program_revision",
    "signature",
    "adapter_type",
    "batch_id",
    "item_index",
    "custom_id",
    "status",
    "outcome",
    "inputs",
    "outputs",
    "raw_output",
    "error",
    "details",
    "attempts",
    "adapter",
    "usage",
    "duration_ms",
    "execution_options",
    "metadata",
    "request_id",
    "created_at",
    "started_at",
    "finished_at",
]
PARTS = ["inputs", "outputs", "raw_output", "attempts"]
DEFAULTS = {
    "timeout": 30_000,
    "max_retries": 2,
    "retry_delay": 1_000,
    "deadline_ms": 120_000,
    "max_repairs": 0,
    "config": {},
}


async def test_a_run_is_200_with_its_record(client: httpx.AsyncClient) -> None:
    """The answer has exactly the contract's members, and is the record that can be read later."""
    program = await post_program(client)
    answer = await post_execution(client, program, metadata={"ticket": 7})
    assert answer.status_code == 200
    execution = answer.json()
    assert list(execution) == MEMBERS
    assert execution["program_id"] == program["program_id"]
    assert (execution["program_name"], execution["program_revision"]) == ("answerer", 1)
    assert execution["signature"] == {
        "signature_id": program["signature_id"],
        "name": "answer_question",
        "version": 1,
    }
    assert (execution["adapter_type"], execution["adapter"]) == ("mock", "mock")
    assert (execution["status"], execution["outcome"]) == ("completed", "success")
    assert (execution["inputs"], execution["outputs"]) == (QUESTION, {"answer": "Paris"})
    assert (execution["raw_output"], execution["error"], execution["details"]) == (None, None, None)
    assert execution["usage"] == {
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "total_tokens": 0,
        "lm_calls": 1,
    }
    (attempt,) = execution["attempts"]
    assert list(attempt) == ["adapter", "started_at", "duration_ms", "error"]
    assert execution["duration_ms"] >= attempt["duration_ms"] > 0
    assert execution["execution_options"] == DEFAULTS
    assert execution["metadata"] == {"ticket": 7}
    assert execution["request_id"] == answer.headers["X-Request-ID"]
    assert all(execution[name].endswith("Z") for name in MEMBERS if name.endswith("_at"))
    assert (execution["batch_id"], execution["item_index"], execution["custom_id"]) == (None,) * 3
    read = await client.get(f"/v1/executions/{execution['execution_id'].upper()}")
    assert read.json() == execution


async def test_the_effective_options_are_recorded(client: httpx.AsyncClient) -> None:
    """What was given, and the defaults of the rest."""
    program = await post_program(client)
    given = {"timeout": 3_600_000, "max_retries": 10, "config": {"temperature": 0.1}}
    answer = await post_execution(client, program, options=given)
    assert answer.json()["execution_options"] == DEFAULTS | given


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"timeout": 0}, "/timeout"),
        ({"timeout": 3_600_001}, "/timeout"),
        ({"timeout": "5"}, "/timeout"),
        ({"timeout": True}, "/timeout"),
        ({"timeout": 5.5}, "/timeout"),
        ({"timeout": None}, "/timeout"),
        ({"max_retries": -1}, "/max_retries"),
        ({"max_retries": 11}, "/max_retries"),
        ({"retry_delay": -1}, "/retry_delay"),
        ({"retry_delay": 60_001}, "/retry_delay"),
        ({"deadline_ms": 0}, "/deadline_ms"),
        ({"deadline_ms": 86_400_001}, "/deadline_ms"),
        ({"config": 5}, "/config"),
        ({"timeout_ms": 5}, "/timeout_ms"),
        ([], ""),
        (None, ""),
    ],
)
async def test_options_out_of_range_are_named(
    client: httpx.AsyncClient, options: Any, place: str
) -> None:
    """Numbers are strict and in range, names are known."""
    program = await post_program(client)
    body = {"inputs": QUESTION, "execution_options": options}
    answer = await client.post(f"/v1/programs/{program['program_id']}/executions", json=body)
    assert answer.status_code == 422
    paths = [fault["path"] for fault in answer.json()["errors"]]
    assert paths == [f"/execution_options{place}"]


async def test_inputs_are_converted(client: httpx.AsyncClient) -> None:
    """Inside `inputs` a string of digits is an integer where the signature says so."""
    program = await post_program(client, notation="limit: integer -> answer: string")
    answer = await post_execution(client, program, {"limit": "5"})
    assert answer.json()["inputs"] == {"limit": 5}


async def test_invalid_inputs_are_422_and_not_recorded(client: httpx.AsyncClient) -> None:
    """Each fault has its place, and what was expected and received; nothing is in the list."""
    program = await post_program(
        client, notation="tags: list[string], a_b: integer -> answer: string"
    )
    answer = await post_execution(client, program, {"tags": ["a", 5], "x/y": 1})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-inputs")
    faults = {fault["path"]: fault for fault in answer.json()["errors"]}
    assert set(faults) == {"/inputs/tags/1", "/inputs/a_b", "/inputs/x~1y"}
    assert faults["/inputs/tags/1"]["received"] == "5"
    assert faults["/inputs/tags/1"]["expected"] == "text"
    assert (await client.get("/v1/executions")).json()["items"] == []


async def test_an_unknown_program_is_404(client: httpx.AsyncClient) -> None:
    """There is nothing to run."""
    answer = await client.post(f"/v1/programs/{uuid4()}/executions", json={"inputs": {}})
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/program-not-found")


async def test_a_program_in_error_is_409_with_its_error(client: httpx.AsyncClient) -> None:
    """The problem tells the program's status and its own message; nothing is recorded."""
    program = await post_program(client, {"latency_ms": -1})
    answer = await post_execution(client, program)
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/program-not-ready")
    assert answer.json()["program_status"] == "error"
    assert answer.json()["program_error"] == program["error"]
    assert program["error"] in answer.json()["detail"]
    assert (await client.get("/v1/executions")).json()["items"] == []


@pytest.mark.parametrize("status", [ProgramStatus.ARCHIVED, ProgramStatus.INITIALIZING])
async def test_a_program_that_is_not_ready_is_409(
    client: httpx.AsyncClient, runtime: Runtime, status: ProgramStatus
) -> None:
    """The problem tells the program's status."""
    program = await post_program(client, initialize=False)
    async with runtime.database.transaction() as tx:
        await tx.programs.mark(UUID(program["program_id"]), status)
    answer = await post_execution(client, program)
    assert (answer.status_code, answer.json()["program_status"]) == (409, status)
    assert answer.json()["program_error"] is None


@pytest.mark.parametrize(
    ("error", "status", "slug", "retry_after"),
    [
        ({"type": "timeout"}, 504, "execution-timed-out", None),
        ({"type": "connection_failed"}, 503, "backend-unavailable", "1"),
        ({"type": "rate_limited", "retry_after": 4.2}, 503, "backend-unavailable", "5"),
        ({"type": "overloaded", "retry_after": 0}, 503, "backend-unavailable", "1"),
        ({"type": "backend_error", "retry_after": 9}, 502, "execution-failed", None),
        ({"type": "authentication"}, 502, "execution-failed", None),
        ({"type": "invalid_request"}, 502, "execution-failed", None),
        ({"type": "context_window_exceeded"}, 502, "execution-failed", None),
        ({"type": "unsupported"}, 502, "execution-failed", None),
        ({"type": "worker_crashed"}, 502, "execution-failed", None),
        ({"type": "unexpected"}, 502, "execution-failed", None),
        ({"type": "cancelled"}, 409, "execution-cancelled", None),
    ],
)
async def test_a_run_that_fails_is_a_problem_with_its_record(
    client: httpx.AsyncClient,
    error: dict[str, Any],
    status: int,
    slug: str,
    retry_after: str | None,
) -> None:
    """The problem carries the execution's id and error, which the record holds too."""
    program = await post_program(client, {"error": {"message": "no luck", **error}})
    answer = await post_execution(client, program, options={"max_retries": 0})
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (status, f"/problems/{slug}")
    assert answer.headers.get("Retry-After") == retry_after
    assert list(problem["error"]) == ["type", "message", "context", "recoverable", "retry_after"]
    assert (problem["error"]["type"], problem["detail"]) == (error["type"], "no luck")
    record = (await client.get(f"/v1/executions/{problem['execution_id']}")).json()
    assert record["error"] == problem["error"]
    assert record["status"] == ("cancelled" if status == 409 else "failed")
    assert record["request_id"] == problem["instance"]


async def test_a_run_that_is_tried_again_shows_its_attempts(client: httpx.AsyncClient) -> None:
    """A mock that fails twice answers the third time."""
    script = {"error": {"type": "overloaded", "times": 2}, "outputs": {"answer": "a"}}
    program = await post_program(client, script)
    answer = await post_execution(client, program, options={"retry_delay": 0})
    assert answer.status_code == 200
    errors = [attempt["error"] for attempt in answer.json()["attempts"]]
    assert [error and error["type"] for error in errors] == ["overloaded", "overloaded", None]
    assert answer.json()["usage"]["lm_calls"] == 3


async def test_a_mock_slower_than_the_timeout_times_out(client: httpx.AsyncClient) -> None:
    """504, and the record's outcome is `timeout`."""
    program = await post_program(client, {"latency_ms": 60_000})
    answer = await post_execution(client, program, options={"timeout": 5, "max_retries": 0})
    assert (answer.status_code, answer.json()["type"]) == (504, "/problems/execution-timed-out")
    record = (await client.get(f"/v1/executions/{answer.json()['execution_id']}")).json()
    assert (record["status"], record["outcome"]) == ("failed", "timeout")


async def test_outputs_that_do_not_fit_are_502_and_kept(client: httpx.AsyncClient) -> None:
    """The record has them as `raw_output`, with the outcome `validation_error`."""
    script = {"outputs": {"answer": 5}}
    answer = await post_execution(client, await post_program(client, script))
    assert (answer.status_code, answer.json()["type"]) == (502, "/problems/execution-failed")
    assert answer.json()["error"]["type"] == "output_invalid"
    record = (await client.get(f"/v1/executions/{answer.json()['execution_id']}")).json()
    assert (record["outcome"], record["outputs"]) == ("validation_error", None)
    assert record["raw_output"] == {"answer": 5}


async def test_without_a_script_a_mock_makes_outputs_that_fit(client: httpx.AsyncClient) -> None:
    """The same inputs give the same outputs."""
    notation = 'question: string -> answer: string, mood: atom["good", "bad"], score: probability'
    program = await post_program(client, {}, notation=notation)
    first, second = [(await post_execution(client, program)).json()["outputs"] for _ in range(2)]
    assert first == second
    assert set(first) == {"answer", "mood", "score"}


async def test_an_unknown_execution_is_404(client: httpx.AsyncClient) -> None:
    """Ids of any time are looked for."""
    for execution_id in (uuid4(), UUID(int=0), UUID(int=2**128 - 1)):
        answer = await client.get(f"/v1/executions/{execution_id}")
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/execution-not-found")


async def test_a_list_leaves_the_big_parts_out(client: httpx.AsyncClient) -> None:
    """Inputs, outputs, raw output and attempts are there only when they are asked for."""
    program = await post_program(client)
    full = (await post_execution(client, program)).json()
    (item,) = (await client.get("/v1/executions")).json()["items"]
    assert list(item) == [name for name in MEMBERS if name not in PARTS]
    assert item == {name: full[name] for name in item}
    for include in ("inputs", "outputs,attempts", "raw_output,", ",".join(PARTS)):
        answer = await client.get("/v1/executions", params={"include": include})
        (item,) = answer.json()["items"]
        assert {name for name in PARTS if name in item} == set(include.split(",")) - {""}
        assert item == {name: full[name] for name in item}


async def test_an_unknown_part_is_422(client: httpx.AsyncClient) -> None:
    """All unknown parts are named, and the known ones are told."""
    answer = await client.get("/v1/executions", params={"include": "inputs,wat,error"})
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert fault["path"] == "/query/include"
    assert fault["message"] == "include does not know error, wat"
    assert fault["expected"] == "inputs, outputs, raw_output, attempts"


async def test_a_list_is_narrowed_by_each_filter(client: httpx.AsyncClient) -> None:
    """Program, status, outcome, type of error, batch and time each narrow, and together."""
    good = await post_program(client)
    bad = await post_program(client, {"error": {"type": "invalid_request"}}, name="bad")
    first = (await post_execution(client, good)).json()
    second = (await post_execution(client, bad)).json()
    third = (await post_execution(client, good)).json()

    async def listed(**params: str) -> list[str]:
        answer = await client.get("/v1/executions", params=params)
        assert answer.status_code == 200, answer.text
        return [item["execution_id"] for item in answer.json()["items"]]

    one, two, three = first["execution_id"], second["execution_id"], third["execution_id"]
    assert await listed() == [three, two, one]
    assert await listed(program_id=good["program_id"]) == [three, one]
    assert await listed(status="failed") == [two]
    assert await listed(outcome="success") == [three, one]
    assert await listed(error_type="invalid_request") == [two]
    assert await listed(error_type="nothing") == []
    assert await listed(batch_id=str(uuid4())) == []
    assert await listed(created_after=first["created_at"]) == [three, two]
    assert await listed(created_before=third["created_at"]) == [two, one]
    assert await listed(
        created_after=first["created_at"], created_before=third["created_at"], status="failed"
    ) == [two]
    assert await listed(created_after="0001-01-01T00:00:00Z") == [three, two, one]
    assert await listed(created_before="9999-12-31T23:59:59.999999Z") == [three, two, one]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("program_id", "x"),
        ("status", "done"),
        ("outcome", "SUCCESS"),
        ("batch_id", "1"),
        ("created_after", "yesterday"),
        ("created_after", "2026-01-01T00:00:00"),
        ("created_after", "0001-01-01T00:00:00+14:00"),
        ("created_before", "9999-12-31T23:59:59-14:00"),
        ("created_before", "nan"),
    ],
)
async def test_a_filter_that_is_none_is_422(
    client: httpx.AsyncClient, name: str, value: str
) -> None:
    """The fault names the parameter; times need their zone and must exist in UTC."""
    answer = await client.get("/v1/executions", params={name: value})
    assert answer.status_code == 422
    assert [fault["path"] for fault in answer.json()["errors"]] == [f"/query/{name}"]


async def test_the_signature_that_ran_can_be_read(client: httpx.AsyncClient) -> None:
    """The id that an execution names is that of its program's signature."""
    execution = (await post_execution(client, await post_program(client))).json()
    signature = await client.get(f"/v1/signatures/{execution['signature']['signature_id']}")
    assert signature.json()["notation"] == NOTATION
