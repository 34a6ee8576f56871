"""Revisions, repairs, waits and traces over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from app.database import Database
from app.models.states import ExecutionStatus
from app.settings import LMSettings, Settings, TelemetrySettings
from tests.support import model_server
from tests.support.application import a_client_on
from tests.support.factories import (
    a_program,
    an_execution,
    post_execution,
    post_program,
    program_body,
)
from tests.support.model_server import ModelServer

RATED = "question: string -> answer: string, score: probability"


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    """A model server of the test's own."""
    async with ModelServer() as running:
        yield running


@pytest.fixture
async def telling(
    settings: Settings,
    database: Database,  # noqa: ARG001 - emptied after us
    server: ModelServer,
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application with an LM, that keeps what LMs are asked and say."""
    lm = LMSettings.model_validate({"model": "openai/small", "api_base": server.base_url})
    update = {"telemetry": TelemetrySettings(content=True), "lms": {"main": lm}}
    telling = settings.model_copy(update=update)
    async with a_client_on(telling) as client:
        yield client


async def a_model_program(client: httpx.AsyncClient) -> dict[str, Any]:
    """Register a program on the model."""
    body = await program_body(client, notation=RATED, adapter="dspy", name="rater")
    return dict((await client.post("/v1/programs", json=body)).json())


async def test_a_model_mends_its_answer(telling: httpx.AsyncClient, server: ModelServer) -> None:
    """The second request carries the first answer and its faults, and the execution completes."""
    wrong, right = '{"answer": "Paris", "score": 7}', '{"answer": "Paris", "score": 0.7}'
    server.script(*map(model_server.completion, ("I think so.", wrong, right)))
    program = await a_model_program(telling)
    answer = await post_execution(telling, program, options={"max_repairs": 2, "max_retries": 0})
    assert answer.status_code == 200, answer.text
    execution = answer.json()
    assert execution["outputs"] == {"answer": "Paris", "score": 0.7}
    errors = [attempt["error"] for attempt in execution["attempts"]]
    assert [error and error["type"] for error in errors] == ["output_invalid"] * 2 + [None]
    assert execution["usage"]["lm_calls"] == 3
    assert execution["usage"]["total_tokens"] == 3 * 18
    assert execution["execution_options"]["max_repairs"] == 2
    first, second, third = [call.body["messages"] for call in server.completions]
    assert second[: len(first)] == third[: len(first)] == first
    assert [message["role"] for message in third[len(first) :]] == ["assistant", "user"]
    assert (second[-2]["content"], third[-2]["content"]) == ("I think so.", wrong)
    assert "score must be 1.0 or less, not 7.0" in third[-1]["content"]


async def test_a_trace_is_shown_where_it_is_asked_for(
    telling: httpx.AsyncClient, server: ModelServer
) -> None:
    """Each LM call of each attempt, in order; in no list, and not unasked."""
    good = '{"answer": "Paris", "score": 0.7}'
    server.script(model_server.status(500), model_server.completion(good))
    program = await a_model_program(telling)
    answer = await post_execution(telling, program, options={"retry_delay": 0})
    path = f"/v1/executions/{answer.json()['execution_id']}"
    assert "trace" not in answer.json()
    assert "trace" not in (await telling.get(path)).json()
    read = (await telling.get(path, params={"include": "trace,inputs"})).json()
    failed, told = read.pop("trace")
    assert read == answer.json()
    members = ["predictor", "lm", "messages", "completion", "usage", "duration_ms"]
    assert list(failed) == list(told) == members
    assert (failed["completion"], told["completion"]) == (None, good)
    assert told["messages"] == server.completions[1].body["messages"]
    assert (told["lm"], told["predictor"], told["usage"]["total_tokens"]) == ("main", "self", 18)
    listed = await telling.get("/v1/executions", params={"include": "trace"})
    assert listed.status_code == 422


async def test_without_the_setting_a_trace_is_null(client: httpx.AsyncClient) -> None:
    """Nothing is kept that was not asked for by the operator."""
    execution = (await post_execution(client, await post_program(client))).json()
    path = f"/v1/executions/{execution['execution_id']}"
    assert (await client.get(path, params={"include": "trace"})).json()["trace"] is None


async def test_a_mock_rehearses_a_repair(client: httpx.AsyncClient) -> None:
    """An `output_invalid` that is scripted once is mended by one repair."""
    script = {"error": {"type": "output_invalid", "times": 1}, "outputs": {"answer": "Paris"}}
    program = await post_program(client, script)
    refused = await post_execution(client, program)
    assert (refused.status_code, refused.json()["error"]["type"]) == (502, "output_invalid")
    mended = await post_execution(client, program, options={"max_repairs": 1})
    assert mended.status_code == 200
    assert len(mended.json()["attempts"]) == 2


@pytest.mark.parametrize("max_repairs", [-1, 6, True, "1", 1.5, None])
async def test_repairs_out_of_range_are_422(client: httpx.AsyncClient, max_repairs: Any) -> None:
    """The fault names the option."""
    program = await post_program(client)
    answer = await post_execution(client, program, options={"max_repairs": max_repairs})
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert fault["path"] == "/execution_options/max_repairs"


async def test_a_revision_is_run_or_is_404(client: httpx.AsyncClient) -> None:
    """The record names it; one that never was is no such revision."""
    program = await post_program(client)
    path = f"/v1/programs/{program['program_id']}/executions"
    body = {"inputs": {"question": "?"}}
    run = await client.post(path, params={"revision": 1}, json=body)
    assert (run.status_code, run.json()["program_revision"]) == (200, 1)
    unknown = await client.post(path, params={"revision": 2}, json=body)
    assert (unknown.status_code, unknown.json()["type"]) == (404, "/problems/revision-not-found")
    nobody = await client.post(
        f"/v1/programs/{uuid4()}/executions", params={"revision": 1}, json=body
    )
    assert nobody.json()["type"] == "/problems/program-not-found"


@pytest.mark.parametrize("revision", ["0", "-1", "x", "1.5", str(2**31), "", "9" * 5_000])
async def test_a_revision_that_is_no_number_is_422(
    client: httpx.AsyncClient, revision: str
) -> None:
    """The fault names the parameter."""
    program = await post_program(client)
    path = f"/v1/programs/{program['program_id']}/executions"
    body = {"inputs": {"question": "?"}}
    answer = await client.post(path, params={"revision": revision}, json=body)
    assert answer.status_code == 422
    assert [fault["path"] for fault in answer.json()["errors"]] == ["/query/revision"]


async def test_a_wait_ends_with_the_execution(
    client: httpx.AsyncClient, database: Database
) -> None:
    """The answer has the end that came while the client waited."""
    execution = await an_execution(database, await a_program(database))
    path = f"/v1/executions/{execution.id}"
    waiting = asyncio.ensure_future(client.get(path, params={"wait_ms": 60_000}))
    running = await client.get(path, params={"wait_ms": 1})
    async with database.transaction() as tx:
        values = {"status": ExecutionStatus.COMPLETED, "outcome": "success"}
        await tx.executions.finish(UUID(str(execution.id)), values)
    assert (running.status_code, running.json()["status"]) == (200, "running")
    ended = await waiting
    assert (ended.status_code, ended.json()["status"]) == (200, "completed")


@pytest.mark.parametrize("wait_ms", ["60001", "9" * 30])
async def test_a_longer_wait_is_cut(client: httpx.AsyncClient, wait_ms: str) -> None:
    """Numbers over a minute are taken as a minute: what has ended is given at once."""
    execution = (await post_execution(client, await post_program(client))).json()
    answer = await client.get(
        f"/v1/executions/{execution['execution_id']}", params={"wait_ms": wait_ms}
    )
    assert answer.json() == execution


@pytest.mark.parametrize("wait_ms", ["-1", "x", "1.5", ""])
async def test_a_wait_that_is_none_is_422(client: httpx.AsyncClient, wait_ms: str) -> None:
    """The fault names the parameter; an unknown execution is 404 whatever the wait."""
    answer = await client.get(f"/v1/executions/{uuid4()}", params={"wait_ms": wait_ms})
    assert answer.status_code == 422
    assert [fault["path"] for fault in answer.json()["errors"]] == ["/query/wait_ms"]
    unknown = await client.get(f"/v1/executions/{uuid4()}", params={"wait_ms": 60_000})
    assert unknown.status_code == 404


@pytest.mark.parametrize(
    "config",
    [
        {"temperature": True},
        {"temperature": -1},
        {"temperature": "0.5"},
        {"temperature": 10**400},
        {"max_tokens": 0},
        {"max_tokens": 2**70},
        {"max_tokens": 10**4_000},
        {"max_tokens": 5.5},
        {"seed": 10**30},
        {"stop": [1]},
        {"logit_bias": {"a": "b"}},
        {"api_base": "http://127.0.0.1:1"},
        {"api_key": "mine"},
        {"lm": "other"},
        {"n": 2},
        {"": None},
    ],
    ids=lambda config: str(config)[:40],
)
async def test_parameters_that_no_lm_takes_fail_with_a_record(
    telling: httpx.AsyncClient, server: ModelServer, config: dict[str, Any]
) -> None:
    """The record is `invalid_request` and names the parameter; no model is asked."""
    program = await a_model_program(telling)
    answer = await post_execution(telling, program, options={"config": config})
    assert (answer.status_code, answer.json()["error"]["type"]) == (502, "invalid_request")
    (name,) = config
    assert f"execution_options.config.{name}" in answer.json()["detail"]
    assert server.completions == []
    record = await telling.get(f"/v1/executions/{answer.json()['execution_id']}")
    assert record.json()["execution_options"]["config"] == config
