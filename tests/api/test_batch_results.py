"""What came of a batch's items: in pages, or as one stream of any length."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from fastapi import Request
from starlette.types import Message
from typing_extensions import override

from app.actions.batch_processing.results import SLICE, BatchResultStreaming
from app.api.json_lines import JSON_LINES, lines_asked_for
from app.main import create_app
from app.runtime import Runtime
from app.settings import Settings
from tests.support.batches import questions
from tests.support.connection import Connection, a_scope
from tests.support.factories import post_batch, post_program
from tests.support.outage import a_leaving_database
from tests.support.wait import wait_until

WAIT = {"Prefer": "wait=30"}
LINES = {"Accept": JSON_LINES}


@pytest.mark.usefixtures("working")
async def test_results_come_in_pages_in_order(client: httpx.AsyncClient) -> None:
    """All, of a status or an outcome, from an index on, with the parts that are asked for."""
    program = await post_program(client, {})
    inputs = [*questions(6), {}]
    batch = (await post_batch(client, program, inputs, on_invalid="record", headers=WAIT)).json()

    async def page(**params: Any) -> dict[str, Any]:
        path = f"/v1/batches/{batch['batch_id']}/results"
        return dict((await client.get(path, params=params)).json())

    first = await page(limit=3)
    second = await page(limit=3, cursor=first["next_cursor"])
    third = await page(limit=3, cursor=second["next_cursor"])
    items = [*first["items"], *second["items"], *third["items"]]
    assert [one["index"] for one in items] == list(range(7))
    assert third["next_cursor"] is None
    assert list(items[0]) == [
        "index",
        "custom_id",
        "execution_id",
        "status",
        "outcome",
        "outputs",
        "error",
        "duration_ms",
    ]
    assert items[0]["outputs"] == batch["successful_outputs"][0]["outputs"]
    assert [one["index"] for one in (await page(status="failed"))["items"]] == [6]
    assert [one["index"] for one in (await page(outcome="success", from_index=4))["items"]] == [
        4,
        5,
    ]
    (one,) = (await page(from_index=6, include="inputs,attempts,usage"))["items"]
    assert (one["inputs"], one["attempts"], one["usage"]) == ({}, [], None)
    execution = (await client.get(f"/v1/executions/{items[2]['execution_id']}")).json()
    assert (execution["batch_id"], execution["item_index"]) == (batch["batch_id"], 2)
    path = f"/v1/batches/{batch['batch_id']}/results"
    for params in ({"include": "raw"}, {"from_index": -1}, {"status": "done"}, {"cursor": "x"}):
        assert (await client.get(path, params=params)).status_code == 422


async def an_ended_batch(client: httpx.AsyncClient, count: int) -> str:
    """Have so many items recorded as failed; give the path of what came of them."""
    program = await post_program(client, name=f"of_{count}")
    answer = await post_batch(client, program, [{}] * count, on_invalid="record")
    return f"/v1/batches/{answer.json()['batch_id']}/results"


async def streamed(client: httpx.AsyncClient, path: str, **params: Any) -> list[dict[str, Any]]:
    """Read a stream, whose last line must say how many others there are; give those."""
    answer = await client.get(path, params=params, headers=LINES)
    assert (answer.status_code, answer.headers["content-type"]) == (200, JSON_LINES)
    assert answer.text.endswith("\n")
    *items, end = [json.loads(line) for line in answer.text.splitlines()]
    assert end == {"end": True, "count": len(items)}
    return items


async def test_a_stream_gives_what_the_pages_give(client: httpx.AsyncClient) -> None:
    """Over many slices, in order, from an index on, of a status, with the parts asked for."""
    path = await an_ended_batch(client, 2 * SLICE + 1)
    items = await streamed(client, path)
    assert [one["index"] for one in items] == list(range(2 * SLICE + 1))
    page = (await client.get(path, params={"limit": 200})).json()
    assert items[:200] == page["items"]
    rest = await streamed(client, path, from_index=SLICE - 1)
    assert rest == items[SLICE - 1 :]
    assert await streamed(client, path, from_index=2**31 - 1) == []
    assert await streamed(client, path, status="completed") == []
    assert await streamed(client, path, outcome="validation_error") == items
    (last,) = await streamed(client, path, from_index=2 * SLICE, include="inputs,usage")
    assert last == {**items[-1], "inputs": {}, "usage": None}


async def test_before_the_end_a_stream_gives_what_has_ended(client: httpx.AsyncClient) -> None:
    """And nothing of an empty batch."""
    program = await post_program(client)
    inputs = [*questions(2), {}, *questions(1), {}]
    batch = (await post_batch(client, program, inputs, on_invalid="record")).json()
    path = f"/v1/batches/{batch['batch_id']}"
    assert [one["index"] for one in await streamed(client, f"{path}/results")] == [2, 4]
    empty = await an_ended_batch(client, 0)
    assert await streamed(client, empty) == []


async def test_a_stream_that_cannot_begin_is_refused(client: httpx.AsyncClient) -> None:
    """Of no batch, and one that shall be cut into pages: a problem, as ever."""
    answer = await client.get(f"/v1/batches/{uuid4()}/results", headers=LINES)
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/batch-not-found")
    path = await an_ended_batch(client, 1)
    params: dict[str, Any] = {"limit": 1, "cursor": "x"}
    answer = await client.get(path, params=params, headers=LINES)
    assert answer.status_code == 422
    paths = [fault["path"] for fault in answer.json()["errors"]]
    assert paths == ["/query/limit", "/query/cursor"]


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, None),
        ("*/*", None),
        ("application/*", None),
        ("application/json", None),
        ("text/html, application/json;q=0.9", None),
        ("application/jsonl", "application/jsonl"),
        ("Application/JSONL ; q=0.5", "application/jsonl"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("application/jsonl;q=0.2, application/x-ndjson", "application/x-ndjson"),
        ("application/jsonl, */*;q=0.1", "application/jsonl"),
        ("application/json;q=0.5, application/jsonl", "application/jsonl"),
        ("application/json, application/jsonl", None),
        ("application/json, application/jsonl;q=0.9", None),
        ("application/jsonl;q=0", None),
        ("application/jsonl;q=x", None),
        ("application/jsonl;q=nan", None),
    ],
)
def test_a_stream_is_for_those_who_want_it_more_than_json(
    accept: str | None, media_type: str | None
) -> None:
    """By either name of JSON Lines; a client that takes both gets what it can parse whole."""
    headers = {} if accept is None else {"accept": accept}
    assert lines_asked_for(Request(a_scope("GET", "/", **headers))) == media_type


@dataclass
class SlowReader(Connection):
    """A client that takes no more than one slice until it is told to go on."""

    def __post_init__(self) -> None:
        self.may_go_on = asyncio.Event()

    @override
    async def send(self, message: Message) -> None:
        """Take what is answered, as slowly as it can be read."""
        await super().send(message)
        if message.get("body"):
            await self.may_go_on.wait()

    @property
    def lines(self) -> list[Mapping[str, Any]]:
        """What has come."""
        body = b"".join(message.get("body", b"") for message in self.answered)
        return [json.loads(line) for line in body.splitlines()]

    @property
    def is_complete(self) -> bool:
        """Whether the body has ended as a body does."""
        return self.answered[-1].get("more_body") is False


def reading(app: Any, path: str, reader: SlowReader) -> asyncio.Task[None]:
    """Begin to read a stream."""
    scope = a_scope("GET", path, accept=JSON_LINES)
    return asyncio.create_task(app(scope, reader.receive, reader.send))


async def test_a_slow_reader_holds_no_transaction(
    client: httpx.AsyncClient, app: Any, settings: Settings
) -> None:
    """PostgreSQL knows of no snapshot while it reads; it gets everything in the end."""
    path = await an_ended_batch(client, SLICE + 1)
    reader = SlowReader(iter(()))
    task = reading(app, path, reader)
    await wait_until(lambda: len(reader.answered) == 2)
    url = settings.database.url
    assert url is not None
    connection = await asyncpg.connect(url.get_secret_value())
    held = await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND query LIKE '%executions%'"
        " AND (xact_start IS NOT NULL OR backend_xmin IS NOT NULL)"
    )
    await connection.close()
    assert (held, len(reader.lines)) == (0, SLICE)
    reader.may_go_on.set()
    await task
    assert reader.lines[-1] == {"end": True, "count": SLICE + 1}
    assert reader.is_complete


async def test_a_stream_ends_with_its_client(client: httpx.AsyncClient, app: Any) -> None:
    """Whoever goes away is read to no further."""
    path = await an_ended_batch(client, SLICE + 1)
    reader = SlowReader(iter(()))
    task = reading(app, path, reader)
    await wait_until(lambda: len(reader.answered) == 2)
    reader.gone.set()
    await task
    assert len(reader.lines) == SLICE


async def test_a_stream_that_breaks_has_no_last_line(
    client: httpx.AsyncClient,
    runtime: Runtime,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nor does its body end as a body does, so that nobody takes it for whole; the log says why."""
    path = await an_ended_batch(client, SLICE + 1)
    async with a_leaving_database(settings) as database:
        batches = replace(runtime.batches, stream_results=BatchResultStreaming(database))
        reader = SlowReader(iter(()))
        task = reading(create_app(settings, replace(runtime, batches=batches)), path, reader)
        await wait_until(lambda: len(reader.answered) == 2)
        database.is_away = True
        reader.may_go_on.set()
        await task
    assert [line["index"] for line in reader.lines] == list(range(SLICE))
    assert not reader.is_complete
    assert "a stream broke off" in caplog.text
