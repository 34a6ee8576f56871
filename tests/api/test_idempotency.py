"""`Idempotency-Key`: what is asked for again is answered again."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message

from app.actions.program_replaying import LONGEST_WAIT_S, PAUSE_S, ProgramReplaying
from app.database import Database
from app.models.scopes import Scope
from app.models.states import ProgramStatus
from app.settings import Settings
from tests.support.application import a_client_on
from tests.support.clock import ManualClock
from tests.support.factories import (
    NOTATION,
    QUESTION,
    a_key,
    a_program,
    bearing,
    post_program,
    program_body,
)
from tests.support.holds import records_held
from tests.support.wait import written

KEY = {"Idempotency-Key": "order-4711"}
REPLAYED = "Idempotency-Replayed"


async def execute(
    client: httpx.AsyncClient,
    program: Mapping[str, Any],
    headers: Mapping[str, str] = KEY,
    query: str = "",
    **body: Any,
) -> httpx.Response:
    """Run a program under a key."""
    path = f"/v1/programs/{program['program_id']}/executions{query}"
    return await client.post(path, json={"inputs": QUESTION, **body}, headers=headers)


async def count(client: httpx.AsyncClient) -> int:
    """Count the executions that there are."""
    return len((await client.get("/v1/executions")).json()["items"])


async def test_the_same_request_is_answered_again(client: httpx.AsyncClient) -> None:
    """The same execution with the same body, which says that it was there before."""
    program = await post_program(client)
    first, second = await execute(client, program), await execute(client, program)
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == second.json()
    assert (first.headers.get(REPLAYED), second.headers[REPLAYED]) == (None, "true")
    assert await count(client) == 1


async def test_a_key_stands_for_one_request(client: httpx.AsyncClient) -> None:
    """Another body, query or `Prefer` under it is refused; nothing runs."""
    program = await post_program(client)
    await execute(client, program)
    for again in (
        await execute(client, program, metadata={"a": 1}),
        await execute(client, program, query="?revision=1"),
        await execute(client, program, {**KEY, "Prefer": "wait=1"}),
    ):
        assert again.status_code == 422
        assert again.json()["type"] == "/problems/idempotency-key-reused"
        assert REPLAYED not in again.headers
    assert await count(client) == 1


async def test_a_key_is_its_callers_and_its_paths(
    keyed_client: httpx.AsyncClient, database: Database
) -> None:
    """Two callers may use the same key, and one caller on two programs."""
    keys = [await a_key(database, Scope.ADMIN) for _ in range(2)]
    keyed_client.headers.update(bearing(keys[0]))
    programs = [await post_program(keyed_client, name=name) for name in ("one", "two")]
    await execute(keyed_client, programs[0])
    assert REPLAYED not in (await execute(keyed_client, programs[1])).headers
    keyed_client.headers.update(bearing(keys[1]))
    assert REPLAYED not in (await execute(keyed_client, programs[0])).headers
    assert await count(keyed_client) == 3


@pytest.mark.parametrize(
    ("written", "again"), [("a b", '"a b"'), ('"a\\"b\\\\"', 'a"b\\'), (' "a" ', "a")]
)
async def test_a_key_may_be_a_quoted_string(
    written: str, again: str, client: httpx.AsyncClient
) -> None:
    """Bare or as RFC 8941 writes strings, it is the same key."""
    program = await post_program(client)
    await execute(client, program, {"Idempotency-Key": written})
    second = await execute(client, program, {"Idempotency-Key": again})
    assert second.headers[REPLAYED] == "true"


@pytest.mark.parametrize("key", ["", '""', "a" * 256, "a\tb", "\xe9".encode("latin-1")])
async def test_a_key_that_is_none_is_refused(key: str | bytes, client: httpx.AsyncClient) -> None:
    """It names the header; a key given twice is none either."""
    program = await post_program(client)
    path = f"/v1/programs/{program['program_id']}/executions"
    name = b"Idempotency-Key"
    value = key if isinstance(key, bytes) else key.encode()
    for headers in ([(name, value)], [(name, b"a"), (name, b"a")]):
        answer = await client.post(path, json={"inputs": QUESTION}, headers=headers)
        assert answer.status_code == 422
        (fault,) = answer.json()["errors"]
        assert fault["path"] == "/headers/idempotency-key"


async def test_a_second_caller_waits_for_the_first(client: httpx.AsyncClient) -> None:
    """Twenty at once are one execution, and all hear how it ended."""
    program = await post_program(client, {"latency_ms": 300})
    answers = await asyncio.gather(*(execute(client, program) for _ in range(20)))
    assert {answer.json()["execution_id"] for answer in answers} == {
        answers[0].json()["execution_id"]
    }
    assert {answer.status_code for answer in answers} == {200}
    assert sum(REPLAYED in answer.headers for answer in answers) == 19
    assert await count(client) == 1


@pytest.mark.parametrize(
    ("mock", "status"),
    [
        ({"error": {"type": "authentication"}}, 502),
        ({"error": {"type": "overloaded"}}, 503),
        ({"latency_ms": 60_000}, 504),
        ({"error": {"type": "cancelled"}}, 409),
    ],
)
async def test_a_failure_is_answered_again(
    mock: dict[str, Any], status: int, client: httpx.AsyncClient
) -> None:
    """With the first one's status; it says that a new key would run it again."""
    program = await post_program(client, mock)
    options = {"timeout": 20, "max_retries": 0}
    first = await execute(client, program, execution_options=options)
    second = await execute(client, program, execution_options=options)
    assert (first.status_code, second.status_code) == (status, status)
    assert second.headers[REPLAYED] == "true"
    detail = first.json()["detail"]
    assert second.json()["detail"].startswith(detail)
    assert "a new key runs it again" in second.json()["detail"]
    told = first.json() | {"detail": "", "instance": ""}
    assert second.json() | {"detail": "", "instance": ""} == told
    assert await count(client) == 1


async def test_a_request_that_was_not_accepted_keeps_no_key(client: httpx.AsyncClient) -> None:
    """After a fault of the request, the key is as good as new."""
    program = await post_program(client)
    path = f"/v1/programs/{program['program_id']}/executions"
    refused = await client.post(path, json={"inputs": {}}, headers=KEY)
    assert refused.status_code == 422
    assert (await execute(client, program)).status_code == 200


async def test_what_was_accepted_is_answered_whatever_became_of_the_program(
    client: httpx.AsyncClient,
) -> None:
    """An archived program runs no more, but what it has run is told."""
    program = await post_program(client)
    first = await execute(client, program)
    await client.post(f"/v1/programs/{program['program_id']}/archive")
    assert (await execute(client, program, {})).status_code == 409
    assert (await execute(client, program)).json() == first.json()


async def test_an_execution_given_up_before_it_began_frees_its_key(
    settings: Settings,
    database: Database,  # noqa: ARG001 - emptied after us
    database_url: str,
) -> None:
    """The database was slow and its caller was told to come again, and does."""
    hasty = settings.database.model_copy(update={"pool_timeout_ms": 300})
    settings = settings.model_copy(update={"database": hasty})
    async with a_client_on(settings) as client:
        program = await post_program(client)
        async with records_held(database_url):
            first = await execute(client, program)
        await written()
        (left,) = (await client.get("/v1/executions")).json()["items"]
        again = await execute(client, program)
    assert (first.status_code, left["status"]) == (503, "cancelled")
    assert (again.status_code, again.headers.get(REPLAYED)) == (200, None)
    assert again.json()["execution_id"] != left["execution_id"]


async def test_a_client_that_goes_does_not_stop_what_its_key_stands_for(
    keyed_app: FastAPI, database: Database
) -> None:
    """It runs on, and who asks again is told."""
    key = await a_key(database, Scope.ADMIN)
    transport = httpx.ASGITransport(keyed_app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://dspatch", headers=bearing(key)
    ) as client:
        program = await post_program(client, {"latency_ms": 200, "outputs": {"answer": "Paris"}})
        path = f"/v1/programs/{program['program_id']}/executions"
        await _send_and_go(keyed_app, path, {**KEY, **bearing(key)})
        again = await execute(client, program)
    assert (again.status_code, again.headers[REPLAYED]) == (200, "true")


async def _send_and_go(app: FastAPI, path: str, headers: Mapping[str, str]) -> None:
    """Make a request as a client that leaves once it has sent it."""
    request = httpx.Request(
        "POST", f"http://dspatch{path}", json={"inputs": QUESTION}, headers=headers
    )
    body: Message = {"type": "http.request", "body": request.content, "more_body": False}
    messages = iter([body])

    async def receive() -> Message:
        return next(messages, {"type": "http.disconnect"})

    async def send(_message: Message) -> None: ...

    scope = {"type": "http", "method": "POST", "path": path, "query_string": b""}
    raw = [(name.lower(), value) for name, value in request.headers.raw]
    await app({**scope, "headers": raw}, receive, send)


async def test_a_signature_is_registered_once(client: httpx.AsyncClient) -> None:
    """Made or found, with the status of the first time."""
    body = {"name": "answer", "notation": NOTATION}
    for key, status in (("a", 201), ("b", 200)):
        headers = {"Idempotency-Key": key}
        first = await client.post("/v1/signatures", json=body, headers=headers)
        second = await client.post("/v1/signatures", json=body, headers=headers)
        assert (first.status_code, second.status_code) == (status, status)
        assert first.json() == second.json()
        assert first.headers.get("Location") == second.headers.get("Location")
        assert (first.headers.get(REPLAYED), second.headers[REPLAYED]) == (None, "true")


async def test_a_signature_that_was_deleted_is_not_made_again(client: httpx.AsyncClient) -> None:
    """Its key says that there is none any more; a new key makes it."""
    body = {"name": "answer", "notation": NOTATION}
    made = await client.post("/v1/signatures", json=body, headers=KEY)
    await client.delete(made.headers["Location"])
    again = await client.post("/v1/signatures", json=body, headers=KEY)
    assert (again.status_code, again.json()["type"]) == (404, "/problems/signature-not-found")
    anew = await client.post("/v1/signatures", json=body, headers={"Idempotency-Key": "new"})
    assert anew.status_code == 201


async def test_a_program_is_registered_once(client: httpx.AsyncClient) -> None:
    """Ten at once are one program; none hears that its name is taken."""
    body = await program_body(client)
    answers = await asyncio.gather(
        *(client.post("/v1/programs", json=body, headers=KEY) for _ in range(10))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert {answer.json()["program_id"] for answer in answers} == {answers[0].json()["program_id"]}
    assert {answer.json()["status"] for answer in answers} == {"ready"}
    assert {answer.headers["Location"] for answer in answers} == {answers[0].headers["Location"]}


async def test_a_program_that_waits_to_be_prepared_is_not_waited_for(
    client: httpx.AsyncClient,
) -> None:
    """Its first request left it a draft, and so does the second."""
    body = await program_body(client, initialize=False)
    for _ in range(2):
        answer = await client.post("/v1/programs", json=body, headers=KEY)
        assert (answer.status_code, answer.json()["status"]) == (201, "draft")


async def test_a_program_whose_preparation_never_ends_is_shown_as_it_is(
    database: Database,
) -> None:
    """Whoever prepared it has died; a minute is waited."""
    clock = ManualClock()
    program = await a_program(database, status=ProgramStatus.INITIALIZING)
    replay = ProgramReplaying(database, clock)
    shown = await replay(program.id, is_initialized=True)
    assert shown.status == ProgramStatus.INITIALIZING
    assert clock.monotonic() == pytest.approx(LONGEST_WAIT_S, abs=PAUSE_S)
