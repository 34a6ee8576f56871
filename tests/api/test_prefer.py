"""`Prefer`: what is asked for to be run in the background is accepted, waited for, and replayed."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest

from app.runtime import Runtime, open_runtime
from app.settings import Settings, WorkerSettings
from tests.support.factories import QUESTION, post_program

ASYNC = "respond-async"
REPLAYED = "Idempotency-Replayed"


async def execute(
    client: httpx.AsyncClient, program: Mapping[str, Any], *prefer: str, key: str | None = None
) -> httpx.Response:
    """Run a program, with these preferences."""
    headers = [("Prefer", one) for one in prefer] + ([("Idempotency-Key", key)] if key else [])
    path = f"/v1/programs/{program['program_id']}/executions"
    return await client.post(path, json={"inputs": QUESTION}, headers=headers)


@pytest.fixture
async def working(settings: Settings, runtime: Runtime) -> AsyncIterator[None]:  # noqa: ARG001 - as a neighbour
    """Another process, which works."""
    worker = settings.model_copy(update={"worker": WorkerSettings()})
    async with open_runtime(worker):
        yield


async def test_what_is_accepted_is_answered_at_once(client: httpx.AsyncClient) -> None:
    """Where it is found, and that it waits; nobody works here."""
    answer = await execute(client, await post_program(client), ASYNC)
    found = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/executions/{found['execution_id']}"
    assert answer.headers["preference-applied"] == ASYNC
    assert (found["status"], found["started_at"], found["attempts"]) == ("pending", None, [])
    assert (await client.get(answer.headers["location"])).json() == found
    listed = (await client.get("/v1/executions?status=pending")).json()["items"]
    assert [one["execution_id"] for one in listed] == [found["execution_id"]]


@pytest.mark.usefixtures("working")
async def test_who_waits_is_answered_as_without(client: httpx.AsyncClient) -> None:
    """Once it has ended, by whichever process."""
    answer = await execute(client, await post_program(client), f"{ASYNC}, wait=30")
    assert (answer.status_code, answer.json()["status"]) == (200, "completed")
    assert answer.json()["outputs"] == {"answer": "Paris"}
    assert answer.headers["preference-applied"] == f"{ASYNC}, wait=30"


@pytest.mark.usefixtures("working")
async def test_a_failure_that_is_waited_for_is_a_problem(client: httpx.AsyncClient) -> None:
    """As without; who did not wait finds it in the record."""
    script = {"error": {"type": "authentication", "message": "no such key"}}
    program = await post_program(client, script)
    answer = await execute(client, program, f"{ASYNC}, wait=30", key="k")
    assert (answer.status_code, answer.json()["type"]) == (502, "/problems/execution-failed")
    again = await execute(client, program, f"{ASYNC}, wait=30", key="k")
    assert again.status_code == 502
    assert "a new key runs it again" in again.json()["detail"]
    accepted = await execute(client, program, ASYNC)
    assert accepted.status_code == 202
    waiting = await client.get(accepted.headers["location"], params={"wait_ms": 30_000})
    assert (waiting.status_code, waiting.json()["status"]) == (200, "failed")


async def test_who_has_waited_long_enough_is_told_that_it_was_accepted(
    client: httpx.AsyncClient,
) -> None:
    """It goes on waiting for somebody who works."""
    answer = await execute(client, await post_program(client), f"{ASYNC}, wait=1")
    assert (answer.status_code, answer.json()["status"]) == (202, "pending")
    assert answer.headers["preference-applied"] == f"{ASYNC}, wait=1"


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [
        ([ASYNC, "wait=0"], f"{ASYNC}, wait=0"),
        (["wait=0 ; really, Respond-Async"], f"{ASYNC}, wait=0"),
        ([f'{ASYNC}="", handling=lenient'], ASYNC),
        ([f"{ASYNC}, wait=0, wait=9"], f"{ASYNC}, wait=0"),
        ([f'{ASYNC}, wait="0"'], f"{ASYNC}, wait=0"),
        ([f"{ASYNC}, wait=soon"], ASYNC),
        ([f"{ASYNC}, wait=-1"], ASYNC),
        ([f"{ASYNC}, wait={'9' * 5_000}"], ASYNC),
        ([f"{ASYNC};foo=bar"], ASYNC),
    ],
)
async def test_the_ways_to_write_it(
    client: httpx.AsyncClient, prefer: list[str], applied: str
) -> None:
    """The first of each name counts; what is not understood has no effect."""
    answer = await execute(client, await post_program(client), *prefer)
    assert (answer.status_code, answer.headers["preference-applied"]) == (202, applied)


@pytest.mark.parametrize("prefer", ["wait=5", f"{ASYNC}=yes", "return=minimal", ",;=,,", ""])
async def test_anything_else_has_no_effect(client: httpx.AsyncClient, prefer: str) -> None:
    """`wait` alone, too: the answer comes at the end."""
    answer = await execute(client, await post_program(client), prefer)
    assert (answer.status_code, answer.json()["status"]) == (200, "completed")
    assert "preference-applied" not in answer.headers


async def test_what_cannot_be_run_is_refused_at_once(client: httpx.AsyncClient) -> None:
    """As without."""
    program = await post_program(client)
    path = f"/v1/programs/{program['program_id']}/executions"
    answer = await client.post(path, json={"inputs": {}}, headers={"Prefer": ASYNC})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-inputs")
    await client.post(f"/v1/programs/{program['program_id']}/archive")
    assert (await execute(client, program, ASYNC)).status_code == 409
    assert (await client.get("/v1/executions")).json()["items"] == []


async def test_a_key_accepts_once(client: httpx.AsyncClient) -> None:
    """At once or later, the same execution is answered, as it stands; another wish is another."""
    program = await post_program(client)
    answers = await asyncio.gather(*(execute(client, program, ASYNC, key="k") for _ in range(5)))
    assert {answer.status_code for answer in answers} == {202}
    (location,) = {answer.headers["location"] for answer in answers}
    assert [answer.headers.get(REPLAYED) for answer in answers].count("true") == 4
    await client.post(f"{location}/cancel")
    later = await execute(client, program, ASYNC, key="k")
    assert (later.status_code, later.json()["status"]) == (202, "cancelled")
    assert later.headers[REPLAYED] == "true"
    other = await execute(client, program, f"{ASYNC}, wait=1", key="k")
    assert other.json()["type"] == "/problems/idempotency-key-reused"


async def test_what_waits_can_be_cancelled(client: httpx.AsyncClient) -> None:
    """Who waits for its end is told at once; nobody runs it."""
    accepted = await execute(client, await post_program(client), ASYNC)
    path = accepted.headers["location"]
    waiting = asyncio.create_task(client.get(path, params={"wait_ms": 30_000}))
    await asyncio.sleep(0)
    cancelled = await client.post(f"{path}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert (await waiting).json()["status"] == "cancelled"
    assert (await client.post(f"{path}/cancel")).status_code == 409
