"""Events of batches over HTTP, as every client of server-sent events reads them."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.policies.drain import Stage
from app.runtime import Runtime
from tests.support.batches import questions
from tests.support.connection import Connection, a_scope
from tests.support.factories import post_batch, post_program
from tests.support.wait import wait_until


def events(text: str) -> list[dict[str, Any]]:
    """Read a stream: `id`, `event` and `data` of each."""
    found = []
    for block in text.split("\n\n")[:-1]:
        lines = dict(line.split(": ", 1) for line in block.split("\n"))
        found.append({**lines, "id": int(lines["id"]), "data": json.loads(lines["data"])})
    return found


def text_of(connection: Connection) -> str:
    """Give what a client has been sent."""
    return b"".join(message.get("body", b"") for message in connection.answered).decode()


@pytest.mark.usefixtures("working")
async def test_a_batch_is_heard_to_its_end(client: httpx.AsyncClient) -> None:
    """Its progress, then its end, with what its own page shows; then nothing more."""
    program = await post_program(client)
    batch = (await post_batch(client, program, questions(3))).json()
    path = f"/v1/batches/{batch['batch_id']}"
    answer = await client.get(f"{path}/events", timeout=30)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["x-accel-buffering"] == "no"
    heard = events(answer.text)
    assert [one["event"] for one in heard] == ["progress"] * (len(heard) - 1) + ["ended"]
    ids = [one["id"] for one in heard]
    assert ids == sorted(set(ids))
    shown = (await client.get(path)).json()
    assert heard[-1]["data"] == {**shown, "successful_outputs": None, "failures": None}
    last = {"Last-Event-ID": str(ids[-1])}
    assert (await client.get(f"{path}/events", headers=last)).status_code == 204
    earlier = {"Last-Event-ID": str(ids[-1] - 1)}
    (again,) = events((await client.get(f"{path}/events", headers=earlier)).text)
    assert again == heard[-1]


async def test_a_listener_may_leave_and_the_process_too(
    client: httpx.AsyncClient, app: Any, runtime: Runtime
) -> None:
    """Nobody is listened for who has left; a stream ends cleanly when the process closes."""
    batch = (await post_batch(client, await post_program(client), questions(1))).json()
    scope = a_scope("GET", f"/v1/batches/{batch['batch_id']}/events")
    leaver, stayer = Connection(iter(())), Connection(iter(()))
    tasks = [asyncio.create_task(app({**scope}, one.receive, one.send)) for one in (leaver, stayer)]
    await wait_until(lambda: all("progress" in text_of(one) for one in (leaver, stayer)))
    leaver.gone.set()
    await tasks[0]
    runtime.drain.go_to(Stage.CLOSING)
    await tasks[1]
    assert stayer.answered[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
    (event,) = events(text_of(stayer))
    assert (event["event"], event["data"]["status"]) == ("progress", "pending")


async def test_a_silent_stream_is_kept_alive(
    client: httpx.AsyncClient, app: Any, runtime: Runtime
) -> None:
    """By comments, which no client takes for events."""
    batch = (await post_batch(client, await post_program(client), questions(1))).json()
    runtime.batches.listen._keep_alive_s = 0.01
    connection = Connection(iter(()))
    scope = a_scope("GET", f"/v1/batches/{batch['batch_id']}/events")
    task = asyncio.create_task(app(scope, connection.receive, connection.send))
    await wait_until(lambda: ": nothing new\n\n" in text_of(connection))
    connection.gone.set()
    await task


async def test_what_cannot_be_heard_is_refused(client: httpx.AsyncClient) -> None:
    """A batch that is not there, an id that no event has."""
    answer = await client.get(f"/v1/batches/{uuid4()}/events")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/batch-not-found")
    for text in ("x", "-1", "1.5", str(2**63)):
        headers = {"Last-Event-ID": text}
        answer = await client.get(f"/v1/batches/{uuid4()}/events", headers=headers)
        (fault,) = answer.json()["errors"]
        assert (answer.status_code, fault["path"]) == (422, "/headers/last-event-id")
