"""Batches at size on real processes that are killed amid them."""

import json
import signal
from typing import Any

import asyncpg
import httpx
import pytest

from app.checkpoints import Checkpoint
from tests.support.factories import post_program
from tests.support.server import ServerProcess, serving
from tests.support.wait import wait_until_so

ITEMS = 25_000
LINES = {"Accept": "application/jsonl", "Content-Type": "application/jsonl"}
LEFT = """
SELECT (SELECT count(*) FROM executions) + (SELECT count(*) FROM batch_uploads)
    + (SELECT count(*) FROM batches)
"""

pytestmark = pytest.mark.long


async def left(url: str) -> int:
    """Count the items, the uploads and the batches."""
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval(LEFT))
    finally:
        await connection.close()


@pytest.mark.parametrize("times", [1, 2])
async def test_an_upload_whose_server_is_killed_leaves_nothing(
    quick: dict[str, str], database_url: str, times: int
) -> None:
    """Another server removes what came in, within half a minute; the same key uploads it anew."""
    environment = quick | {"DSPATCH_CRASH_AT": f"{Checkpoint.BATCH_ACCEPTING}:{times}"}
    body = b'{"question": "a"}\n' * ITEMS
    headers = LINES | {"Idempotency-Key": "once"}

    async def is_clean() -> bool:
        return not await left(database_url)

    async with serving(environment=quick) as other, serving(environment=environment) as dying:
        async with httpx.AsyncClient(base_url=dying.base_url, timeout=120) as client:
            program = await post_program(client)
            path = f"/v1/programs/{program['program_id']}/batches"
            with pytest.raises(httpx.HTTPError):
                await client.post(path, content=body, headers=headers)
        assert await dying.process.wait() == -signal.SIGKILL
        assert await left(database_url) == times * 10_000 + 1
        await wait_until_so(is_clean, 60)
        async with httpx.AsyncClient(base_url=other.base_url, timeout=120) as client:
            batch = (await client.post(path, content=body, headers=headers)).json()
    assert batch["total_items"] == ITEMS


async def read_and_kill(server: ServerProcess, path: str, lines: list[dict[str, Any]]) -> None:
    """Read a stream, and kill the server amid it; raises what the client then raises."""
    async with (
        httpx.AsyncClient(base_url=server.base_url, timeout=120) as client,
        client.stream("GET", path, headers=LINES) as stream,
    ):
        async for line in stream.aiter_lines():
            lines.append(json.loads(line))
            if len(lines) == 1_000:
                await server.stop(signal.SIGKILL)


async def test_a_stream_whose_server_is_killed_is_gone_on_with(environment: dict[str, str]) -> None:
    """It has no last line, and breaks off amid its body; another server has the rest."""
    lines: list[dict[str, Any]] = []
    async with serving(environment=environment) as other, serving(environment=environment) as dying:
        async with httpx.AsyncClient(base_url=other.base_url, timeout=120) as client:
            program = await post_program(client)
            path = f"/v1/programs/{program['program_id']}/batches?on_invalid=record"
            answer = await client.post(path, content=b"{}\n" * ITEMS, headers=LINES)
        results = f"/v1/batches/{answer.json()['batch_id']}/results"
        with pytest.raises(httpx.RemoteProtocolError):
            await read_and_kill(dying, results, lines)
        assert 1_000 <= len(lines) < ITEMS
        async with httpx.AsyncClient(base_url=other.base_url, timeout=120) as client:
            params = {"from_index": lines[-1]["index"] + 1}
            whole = await client.get(results, params=params, headers=LINES)
        rest = [json.loads(line) for line in whole.text.splitlines()]
    assert rest.pop() == {"end": True, "count": len(rest)}
    assert [line["index"] for line in (*lines, *rest)] == list(range(ITEMS))
