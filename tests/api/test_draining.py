"""What requests hear of the end of their process."""

import asyncio
from collections.abc import Sequence

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from app.api.draining import DrainingMiddleware
from app.main import create_app
from app.policies.drain import Stage
from app.runtime import Runtime
from app.settings import Settings

BEGINNING: Message = {"type": "http.response.start", "status": 200, "headers": []}


async def test_a_draining_process_lets_connections_go(
    client: httpx.AsyncClient, runtime: Runtime
) -> None:
    """Requests are answered as ever, each answer being the last of its connection."""
    before = await client.get("/v1/programs")
    runtime.drain.go_to(Stage.DRAINING)
    during = await client.get("/v1/programs")
    assert "connection" not in before.headers
    assert (during.status_code, during.headers["connection"]) == (200, "close")


async def test_a_draining_process_is_alive_but_not_ready(
    client: httpx.AsyncClient, runtime: Runtime
) -> None:
    """Kubernetes sends it nothing new, and does not kill it either."""
    runtime.drain.go_to(Stage.DRAINING)
    unready = await client.get("/readyz")
    assert unready.status_code == 503
    assert unready.json() == {"status": "unavailable", "checks": {"server": "draining"}}
    assert (await client.get("/livez")).status_code == 200


async def _cancel(app: FastAPI, said: Sequence[Message]) -> list[Message]:
    """Cancel a request that has `said` so much of its answer; give what its client gets.

    Raises CancelledError where the request does.
    """
    sent: list[Message] = []
    waits = asyncio.Event()

    async def unending(_scope: Scope, _receive: Receive, send: Send) -> None:
        for message in said:
            await send(message)
        waits.set()
        await asyncio.Event().wait()

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        await asyncio.sleep(0)
        sent.append(message)

    scope = {"type": "http", "app": app, "state": {"request_id": "r"}, "headers": []}
    request = asyncio.create_task(DrainingMiddleware(unending)(scope, receive, send))
    await waits.wait()
    request.cancel()
    await request
    return sent


async def test_who_is_cancelled_by_the_end_is_told_to_come_again(
    settings: Settings, runtime: Runtime
) -> None:
    """503 with `Retry-After`, on a connection that closes."""
    runtime.drain.go_to(Stage.CLOSING)
    beginning, body = await _cancel(create_app(settings, runtime), [])
    headers = dict(beginning["headers"])
    assert beginning["status"] == 503
    assert (headers[b"retry-after"], headers[b"connection"]) == (b"1", b"close")
    assert b"/problems/shutting-down" in body["body"]


async def test_a_cancellation_that_is_not_the_end_stays_one(
    settings: Settings, runtime: Runtime
) -> None:
    """Somebody else's cancellation is theirs to answer."""
    with pytest.raises(asyncio.CancelledError):
        await _cancel(create_app(settings, runtime), [])


async def test_an_answer_that_has_begun_gets_no_second_one(
    settings: Settings, runtime: Runtime
) -> None:
    """It breaks off: the client sees that it is not whole."""
    runtime.drain.go_to(Stage.CLOSING)
    with pytest.raises(asyncio.CancelledError):
        await _cancel(create_app(settings, runtime), [BEGINNING])
