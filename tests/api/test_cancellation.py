"""Cancelling over HTTP, and what works where the pool is exhausted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from time import monotonic
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from app.database import Database
from app.main import create_app
from app.models.scopes import Scope
from app.runtime import Runtime, open_runtime
from app.settings import AuthSettings, Settings
from tests.support.factories import (
    QUESTION,
    a_key,
    a_program,
    an_execution,
    bearing,
    post_execution,
    post_program,
)
from tests.support.wait import wait_until_so

SLOW = {"latency_ms": 60_000, "outputs": {"answer": "never"}}
POOL_SIZE = 2
PATIENCE_MS = 200


def cancel_path(execution_id: object) -> str:
    """Give the path that cancels an execution."""
    return f"/v1/executions/{execution_id}/cancel"


async def running_ids(client: httpx.AsyncClient) -> list[str]:
    """List what runs."""
    found = await client.get("/v1/executions", params={"status": "running"})
    return [item["execution_id"] for item in found.json()["items"]]


async def test_a_running_execution_is_cancelled(client: httpx.AsyncClient) -> None:
    """200 with the record, cancelled already; the client that waits for it gets the 409."""
    program = await post_program(client, SLOW)
    answering = asyncio.create_task(post_execution(client, program))

    async def runs() -> bool:
        return bool(await running_ids(client))

    await wait_until_so(runs)
    (execution_id,) = await running_ids(client)
    cancelled = await client.post(cancel_path(execution_id))
    answer = await answering
    assert cancelled.status_code == 200
    record = cancelled.json()
    assert (record["execution_id"], record["status"]) == (execution_id, "cancelled")
    assert (record["outcome"], record["outputs"]) == ("cancelled", None)
    assert record["error"]["type"] == "cancelled"
    assert record["duration_ms"] > 0
    assert record["finished_at"] is not None
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/execution-cancelled")
    assert answer.json()["execution_id"] == execution_id
    assert (await client.get(f"/v1/executions/{execution_id}")).json() == record
    counted = 'dspatch_executions_total{adapter="mock",outcome="cancelled",program="answerer"} 1.0'
    assert counted in (await client.get("/metrics")).text


async def test_what_has_ended_is_409(client: httpx.AsyncClient) -> None:
    """The record stays as it is."""
    record = (await post_execution(client, await post_program(client))).json()
    answer = await client.post(cancel_path(record["execution_id"]))
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/invalid-transition")
    assert answer.json()["detail"] == "The execution is completed already."
    assert (await client.get(f"/v1/executions/{record['execution_id']}")).json() == record


async def test_what_is_not_there_is_404(client: httpx.AsyncClient) -> None:
    """As everywhere."""
    answer = await client.post(cancel_path(uuid4()))
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/execution-not-found")


@asynccontextmanager
async def exhausted(database: Database) -> AsyncIterator[None]:
    """Hold every connection of the pool while the block lasts."""
    async with AsyncExitStack() as stack:
        for _ in range(POOL_SIZE):
            tx = await stack.enter_async_context(database.transaction())
            await tx.signatures._session.execute(text("SELECT 1"))
        yield


@pytest.fixture
async def narrow(settings: Settings, database: Database) -> AsyncIterator[Runtime]:  # noqa: ARG001 - emptied after us
    """A runtime with few connections, which asks for keys."""
    few = {"pool_size": POOL_SIZE, "pool_timeout_ms": PATIENCE_MS}
    own = {"database": settings.database.model_copy(update=few), "auth": AuthSettings(mode="keys")}
    async with open_runtime(settings.model_copy(update=own)) as runtime:
        yield runtime


@pytest.fixture
async def narrow_client(narrow: Runtime, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a key that has not been used yet."""
    headers = bearing(await a_key(database, Scope.EXECUTE))
    transport = httpx.ASGITransport(create_app(narrow.settings, narrow))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://dspatch", headers=headers
    ) as client:
        yield client


async def test_an_exhausted_pool_is_503_after_a_bounded_wait(
    narrow: Runtime, narrow_client: httpx.AsyncClient, database: Database
) -> None:
    """With Retry-After; nothing is recorded, and all is well when a connection comes free."""
    program = await a_program(database, adapter="mock")
    path, body = f"/v1/programs/{program.id}/executions", {"inputs": QUESTION}
    async with exhausted(narrow.database):
        began = monotonic()
        answers = await asyncio.gather(*(narrow_client.post(path, json=body) for _ in range(9)))
        took_s = monotonic() - began
    assert {answer.status_code for answer in answers} == {503}
    assert {answer.headers["retry-after"] for answer in answers} == {"1"}
    assert took_s < 10 * PATIENCE_MS / 1_000
    assert (await narrow_client.post(path, json=body)).status_code == 200


async def test_cancel_and_readiness_do_not_need_the_pool(
    narrow: Runtime, narrow_client: httpx.AsyncClient, database: Database
) -> None:
    """Nor does the key of the one who cancels."""
    execution = await an_execution(database, await a_program(database))
    async with exhausted(narrow.database):
        ready = await narrow_client.get("/readyz")
        cancelled = await narrow_client.post(cancel_path(execution.id))
    assert (ready.status_code, ready.json()["checks"]["database"]) == (200, "ok")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")


async def test_executions_of_remembered_programs_do_not_need_the_pool(
    narrow: Runtime, narrow_client: httpx.AsyncClient, database: Database
) -> None:
    """Records have connections of their own."""
    program = await a_program(database, adapter="mock")
    path, body = f"/v1/programs/{program.id}/executions", {"inputs": QUESTION}
    assert (await narrow_client.post(path, json=body)).status_code == 200
    async with exhausted(narrow.database):
        answers = await asyncio.gather(*(narrow_client.post(path, json=body) for _ in range(9)))
    assert [answer.status_code for answer in answers] == [200] * 9
