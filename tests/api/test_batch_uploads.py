"""Batches that come in as JSON Lines: as strictly as JSON, however long they are."""

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any
from uuid import UUID

import httpx
import pytest

from app.database import Database
from app.settings import LimitsSettings, Settings
from app.stores.executions import ExecutionFilter
from app.stores.pages import Page
from tests.support.application import a_client_on
from tests.support.batches import questions
from tests.support.connection import Connection, a_scope
from tests.support.factories import post_batch, post_program

JSONL = {"Content-Type": "application/jsonl"}
REPLAYED = "Idempotency-Replayed"


def lines_of(items: Iterable[Any]) -> bytes:
    """Write items, a line each."""
    return b"".join(json.dumps(item).encode() + b"\n" for item in items)


async def upload(
    client: httpx.AsyncClient,
    program: Mapping[str, Any],
    body: bytes | AsyncIterator[bytes],
    *,
    headers: Mapping[str, str] | None = None,
    **options: Any,
) -> httpx.Response:
    """Ask for a batch of these lines."""
    path = f"/v1/programs/{program['program_id']}/batches"
    sent = {**JSONL, **(headers or {})}
    return await client.post(path, content=body, headers=sent, params=options)


def faults(answer: httpx.Response) -> dict[str, str]:
    """Give the code of each fault by its path."""
    assert answer.status_code == 422, answer.text
    return {fault["path"]: fault["code"] for fault in answer.json()["errors"]}


async def records(database: Database, batch: Mapping[str, Any]) -> list[Any]:
    """Give index, name, status and inputs of each item."""
    async with database.transaction() as tx:
        wanted = ExecutionFilter(batch_id=UUID(batch["batch_id"]))
        found = (await tx.executions.list_page(Page(200), wanted)).items
    rows = sorted(found, key=lambda row: row.item_index or 0)
    return [(row.item_index, row.custom_id, row.status, row.inputs) for row in rows]


async def test_lines_are_a_batch(client: httpx.AsyncClient, database: Database) -> None:
    """As JSON is, with options of the query; it comes in pieces that end anywhere."""
    program = await post_program(client)
    named = {"custom_id": "seven", "inputs": {"question": "é"}}
    body = lines_of([*questions(2), named])

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 5):
            yield body[start : start + 5]

    options: dict[str, Any] = {"batch_size": 50, "max_concurrency": 9, "continue_on_error": "false"}
    answer = await upload(client, program, pieces(), **options)
    batch = answer.json()
    assert (answer.status_code, batch["status"]) == (202, "pending")
    assert answer.headers["location"] == f"/v1/batches/{batch['batch_id']}"
    alike = await post_batch(
        client,
        program,
        [*questions(2), named],
        batch_options={**options, "continue_on_error": False},
    )
    varying = {"batch_id", "batch_execution_id", "created_at"}
    shown = {name: value for name, value in alike.json().items() if name not in varying}
    assert {name: value for name, value in batch.items() if name not in varying} == shown
    assert await records(database, batch) == [
        (0, None, "pending", {"question": "0"}),
        (1, None, "pending", {"question": "1"}),
        (2, "seven", "pending", {"question": "é"}),
    ]


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (b"", 0),
        (b"\n\n  \r\n", 0),
        (b'{"question": "a"}', 1),
        (b'{"question": "a"}\r\n{"question": "b"}\r\n', 2),
        (b'\n{"question": "a"}\n\n\t\n{"question": "b"}\n\n', 2),
    ],
)
async def test_blank_lines_are_no_items(
    client: httpx.AsyncClient, database: Database, body: bytes, count: int
) -> None:
    """Nor does it matter how lines end, and whether the last one does; no items are a batch."""
    answer = await upload(client, await post_program(client), body)
    batch = answer.json()
    assert (answer.status_code, batch["total_items"]) == (202, count)
    assert batch["status"] == ("pending" if count else "completed")
    assert [index for index, *_ in await records(database, batch)] == list(range(count))


BAD_LINES = [
    (b'{"question": 1}', "/question", "type"),
    (b"5", "", "type"),
    (b"{}", "/question", "missing"),
    (b'{"question": "a"', "", "malformed"),
    (b'{"question": "a"} {}', "", "malformed"),
    (b'{"question": NaN}', "", "malformed"),
    (b"\x0b\x0c", "", "malformed"),
    (b'{"question": "\xff"}', "", "malformed"),
    (b'\xef\xbb\xbf{"question": "a"}', "", "malformed"),
    (b'{"question": "a", "question": "b"}', "", "duplicate_key"),
    (b'{"question": "\\u0000"}', "/question", "character"),
    (b'{"question": "\\ud800"}', "/question", "character"),
    (b'{"question": 1e999}', "/question", "out_of_range"),
    (b'{"question": ' + b"[" * 80 + b"]" * 80 + b"}", "/question" + "/0" * 63, "too_deep"),
    (b'{"custom_id": "x", "inputs": {"question": "a"}}', "/custom_id", "duplicate_custom_id"),
    (b'{"custom_id": "", "inputs": {"question": "a"}}', "/custom_id", "custom_id"),
    (b'{"custom_id": "y", "inputs": {}}', "/inputs/question", "missing"),
]


async def test_every_bad_line_is_told_by_its_number(
    client: httpx.AsyncClient, database: Database
) -> None:
    """Counted from 0, blank ones too; nothing is accepted; or they are recorded as failed."""
    program = await post_program(client)
    good = b'{"custom_id": "x", "inputs": {"question": "a"}}'
    body = b"\n".join([good, b"", *(line for line, _, _ in BAD_LINES)])
    answer = await upload(client, program, body)
    assert faults(answer) == {
        f"/lines/{number}{path}": code for number, (_, path, code) in enumerate(BAD_LINES, 2)
    }
    assert answer.json()["error_count"] == len(BAD_LINES)
    assert answer.json()["type"] == "/problems/invalid-inputs"
    assert (await client.get("/v1/executions")).json()["items"] == []
    batch = (await upload(client, program, body, on_invalid="record")).json()
    assert (batch["total_items"], batch["failed_items"]) == (len(BAD_LINES) + 1, len(BAD_LINES))
    found = await records(database, batch)
    assert [status for _, _, status, _ in found] == ["pending", *["failed"] * len(BAD_LINES)]
    inputs = [one for *_, one in found]
    assert inputs[1:5] == [{"question": 1}, 5, {}, '{"question": "a"']
    assert inputs[8] == '{"question": "\ufffd"}'


async def test_the_first_thousand_faults_are_told(client: httpx.AsyncClient) -> None:
    """And how many there are."""
    answer = await upload(client, await post_program(client), b"{}\n" * 1_200)
    assert (len(faults(answer)), answer.json()["error_count"]) == (1_000, 1_200)
    assert "/lines/999/question" in faults(answer)


async def test_options_of_the_query_are_as_strict_as_those_of_a_body(
    client: httpx.AsyncClient,
) -> None:
    """Out of range, of another type or unknown: 422 at its place, whatever the lines are."""
    program = await post_program(client)
    bad: dict[str, list[Any]] = {
        "batch_size": ["0", "1001", "1.5", "x", "", "true", "1e400", "NaN"],
        "max_concurrency": ["0"],
        "continue_on_error": ["1", "True", "no"],
        "on_invalid": ["drop", "1"],
        "batch_options": ["{}"],
        "metadata": ["{}"],
    }
    for name, values in bad.items():
        for value in values:
            options: dict[str, Any] = {name: value}
            answer = await upload(client, program, b"", **options)
            assert [*faults(answer)] == [f"/query/{name}"], (name, value)
    query = "batch_size=1&batch_size=2"
    answer = await client.post(
        f"/v1/programs/{program['program_id']}/batches?{query}", content=b"", headers=JSONL
    )
    assert faults(answer) == {"/query/batch_size": "duplicate_parameter"}
    answer = await client.post(f"/v1/programs/{program['program_id']}/batches?batch_size=1", json=1)
    assert faults(answer) == {"/query/batch_size": "unknown_parameter"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/x-ndjson"}, 202),
        ({"Content-Type": "Application/JSONL; charset=UTF-8"}, 202),
        ({"Content-Type": "application/jsonl; charset=utf-16"}, 415),
        ({"Content-Type": "application/jsonlines"}, 415),
        ({"Content-Encoding": "identity"}, 202),
        ({"Content-Encoding": "gzip"}, 415),
    ],
)
async def test_lines_are_plain_text_in_utf_8(
    client: httpx.AsyncClient, headers: Mapping[str, str], status: int
) -> None:
    """By either of their names; what is packed is refused."""
    answer = await upload(client, await post_program(client), b"", headers=headers)
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (lines_of(questions(20)), "The body may have 300 bytes."),
        (b'{"question": "' + b"a" * 110 + b'"}\n', "A line of the body may have 100 bytes."),
        (b"a" * 101, "A line of the body may have 100 bytes."),
    ],
)
async def test_what_is_too_long_is_413(
    client: httpx.AsyncClient, settings: Settings, body: bytes, detail: str
) -> None:
    """The whole or a line, whether its length was announced or not; nothing is accepted."""
    program = await post_program(client)
    limits = LimitsSettings(json_bytes=100, upload_bytes=300)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 64):
            yield body[start : start + 64]

    async with a_client_on(settings.model_copy(update={"limits": limits})) as limited:
        answers = [await upload(limited, program, content) for content in (body, pieces())]
    assert {(answer.status_code, answer.json()["detail"]) for answer in answers} == {(413, detail)}
    assert (await client.get("/v1/batches")).json()["items"] == []


async def test_what_an_execution_would_be_refused_an_upload_is(client: httpx.AsyncClient) -> None:
    """Before anything of it is read, but for one that may have been accepted under its key."""
    program = await post_program(client, initialize=False)

    async def never() -> AsyncIterator[bytes]:
        raise AssertionError
        yield b""

    answer = await upload(client, program, never())
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/program-not-ready")
    answer = await upload(client, program, b"{}", headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/program-not-ready")


async def test_a_key_makes_one_batch_of_an_upload(client: httpx.AsyncClient) -> None:
    """The same lines are answered again, even by a program that takes no more; others are not."""
    program, headers = await post_program(client), {"Idempotency-Key": "k"}
    body = lines_of(questions(3))
    first = await upload(client, program, body, headers=headers)
    await client.post(f"/v1/programs/{program['program_id']}/archive")
    again = await upload(client, program, body, headers=headers)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json()["batch_id"] == first.json()["batch_id"]
    assert (first.headers.get(REPLAYED), again.headers[REPLAYED]) == (None, "true")
    for other, options in ((body + b"\n", {}), (body, {"batch_size": 5})):
        answer = await upload(client, program, other, headers=headers, **options)
        assert answer.json()["type"] == "/problems/idempotency-key-reused"
    answer = await upload(client, program, body, headers={"Idempotency-Key": ""})
    assert faults(answer) == {"/headers/idempotency-key": "invalid"}
    assert len((await client.get("/v1/batches")).json()["items"]) == 1


async def test_a_client_that_leaves_amid_its_upload_leaves_nothing(
    client: httpx.AsyncClient, app: Any, database: Database
) -> None:
    """No batch, no items, no upload."""
    program = await post_program(client)
    path = f"/v1/programs/{program['program_id']}/batches"
    body = {"type": "http.request", "body": lines_of(questions(500)), "more_body": True}
    connection = Connection(iter([body]))
    connection.gone.set()
    scope = a_scope("POST", path, content_type="application/jsonl")
    await app(scope, connection.receive, connection.send)
    assert connection.status == 400
    assert (await client.get("/v1/executions")).json()["items"] == []
    async with database.transaction() as tx:
        assert await tx.batch_uploads.list_all() == []
