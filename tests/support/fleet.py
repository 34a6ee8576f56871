"""Processes that work on the batches of one database, and what a batch has come to."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from time import monotonic
from typing import Any

import asyncpg
import httpx

from tests.support.counting_model import CountingModel
from tests.support.factories import post_program
from tests.support.server import ServerProcess, serving, working
from tests.support.wait import wait_until_so

API_ONLY = {"DSPATCH_WORKER__EMBEDDED": "false"}
LASTING = {"pending", "running", "paused"}

AUDIT = """
SELECT count(*) AS records, count(DISTINCT item_index) AS items,
    count(*) FILTER (WHERE status = 'completed') AS completed,
    count(*) FILTER (WHERE status = 'failed') AS failed,
    count(*) FILTER (WHERE status = 'cancelled') AS cancelled
FROM executions WHERE batch_id = $1
"""


class Unavailable(Exception):  # noqa: N818 - it is no fault
    """The database is away for now."""


async def audited(url: str, batch_id: str) -> dict[str, int]:
    """Count the records of a batch by SQL."""
    connection = await asyncpg.connect(url)
    try:
        return dict(await connection.fetchrow(AUDIT, batch_id) or {})
    finally:
        await connection.close()


class Fleet:
    """Processes on one database that work on batches, and one that serves and stays."""

    def __init__(self, environment: Mapping[str, str], stack: AsyncExitStack) -> None:
        self._environment = dict(environment)
        self._stack = stack
        self.workers: list[ServerProcess] = []

    async def serve(self) -> httpx.AsyncClient:
        """Serve without working; give a client."""
        environment = self._environment | API_ONLY
        server = await self._stack.enter_async_context(serving(environment=environment))
        client = httpx.AsyncClient(base_url=server.base_url, timeout=60)
        return await self._stack.enter_async_context(client)

    async def add(self, *, serves: bool = False, **variables: str) -> ServerProcess:
        """Start a worker, or a server that works too."""
        start = serving if serves else working
        environment = self._environment | variables
        process = await self._stack.enter_async_context(start(environment=environment))
        self.workers.append(process)
        return process

    async def kill(self, process: ServerProcess) -> None:
        """Kill a worker."""
        self.workers.remove(process)
        await process.stop(signal.SIGKILL)


@asynccontextmanager
async def a_fleet(environment: Mapping[str, str], model: CountingModel) -> AsyncIterator[Fleet]:
    """Give processes that ask this model."""
    async with AsyncExitStack() as stack:
        yield Fleet({**environment, **model.variables}, stack)


async def a_batch(
    client: httpx.AsyncClient, count: int, *, adapter: str = "counting", **options: Any
) -> dict[str, Any]:
    """Ask for a batch of numbered questions on a program of its own."""
    name = f"of_{count}_{os.urandom(3).hex()}"
    program = await post_program(client, name=name, adapter=adapter, config={})
    body = {
        "batch_inputs": [{"question": f"{name}-{number}"} for number in range(count)],
        "batch_options": options,
    }
    answer = await client.post(f"/v1/programs/{program['program_id']}/batches", json=body)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


async def read(
    client: httpx.AsyncClient, batch: Mapping[str, Any], **params: Any
) -> dict[str, Any]:
    """Read a batch, whose counts must add up."""
    answer = await client.get(f"/v1/batches/{batch['batch_id']}", params=params)
    if answer.status_code == 503:
        raise Unavailable
    assert answer.status_code == 200, answer.text
    found = dict(answer.json())
    parts = ("pending", "running", "successful", "failed", "cancelled")
    assert sum(found[f"{part}_items"] for part in parts) == found["total_items"]
    assert min(found[f"{part}_items"] for part in parts) >= 0
    return found


async def until_ended(
    client: httpx.AsyncClient, batch: Mapping[str, Any], within_s: float = 120
) -> dict[str, Any]:
    """Wait for the end of a batch."""
    deadline = monotonic() + within_s
    while monotonic() < deadline:
        with suppress(httpx.HTTPError, Unavailable):
            found = await read(client, batch, wait_ms=5_000)
            if found["status"] not in LASTING:
                return found
    raise TimeoutError(f"not ended within {within_s} s")


async def until_done(client: httpx.AsyncClient, batch: Mapping[str, Any], count: int) -> None:
    """Wait until so many items have ended."""

    async def are_done() -> bool:
        return bool((await read(client, batch))["progress"]["done"] >= count)

    await wait_until_so(are_done, 60)


def after(seconds: Callable[[str], float]) -> Callable[[str], Awaitable[str]]:
    """Answer a question with itself after so long."""

    async def answer(question: str) -> str:
        await asyncio.sleep(seconds(question))
        return question

    return answer
