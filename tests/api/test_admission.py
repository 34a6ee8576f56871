"""Who is let in: by number, by host, by origin."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest

from app.api.hosts import _name
from app.main import create_app
from app.runtime import Runtime
from app.settings import LimitsSettings, ServerSettings, Settings
from tests.support.batches import questions
from tests.support.connection import Connection, a_scope
from tests.support.factories import post_batch, post_execution, post_program
from tests.support.wait import wait_until

Serve = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]

ORIGIN = "https://console.example"


@pytest.fixture
def serve(settings: Settings, runtime: Runtime) -> Serve:
    """Give what serves the application with other settings."""

    @asynccontextmanager
    async def serve(**groups: Any) -> AsyncIterator[httpx.AsyncClient]:
        app = create_app(settings.model_copy(update=groups), runtime)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://dspatch") as client:
            yield client

    return serve


async def test_a_request_over_the_limit_is_told_to_come_again(
    serve: Serve, runtime: Runtime
) -> None:
    """At once, whatever it asks; those who watch the process are answered all the same."""
    async with serve(limits=LimitsSettings(concurrent_requests=1)) as client:
        program = await post_program(client, {"latency_ms": 500})
        running = asyncio.ensure_future(post_execution(client, program))
        await wait_until(lambda: runtime.adapters.get("mock").in_flight == 1)
        refused = await client.get("/v1/programs")
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        assert refused.json()["type"] == "/problems/server-busy"
        for path in ("/livez", "/readyz", "/startupz", "/metrics"):
            assert "server-busy" not in (await client.get(path)).text
        assert (await running).status_code == 200
        assert (await client.get("/v1/programs")).status_code == 200


async def test_who_listens_keeps_nobody_out(
    client: httpx.AsyncClient, settings: Settings, runtime: Runtime
) -> None:
    """More may listen to events than requests may run, and the others run beside them."""
    batch = (await post_batch(client, await post_program(client), questions(1))).json()
    path = f"/v1/batches/{batch['batch_id']}"
    limits = LimitsSettings(concurrent_requests=1)
    app = create_app(settings.model_copy(update={"limits": limits}), runtime)
    listeners = [Connection(iter(())) for _ in range(3)]
    tasks = [
        asyncio.create_task(app(a_scope("GET", f"{path}/events"), one.receive, one.send))
        for one in listeners
    ]
    await wait_until(lambda: all(len(one.answered) > 1 for one in listeners))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://dspatch"
    ) as other:
        assert (await other.get(path)).status_code == 200
    for one in listeners:
        one.gone.set()
    await asyncio.gather(*tasks)
    assert {one.status for one in listeners} == {200}


async def test_only_the_hosts_of_the_settings_are_answered_to(serve: Serve) -> None:
    """In any letters and with any port; probes come by addresses."""
    async with serve(server=ServerSettings(allowed_hosts=["api.example"])) as client:
        for host in ("api.example", "API.example:8443"):
            answer = await client.get("/v1/programs", headers={"Host": host})
            assert answer.status_code == 200
        refused = await client.get("/v1/programs", headers={"Host": "10.0.0.7:8000"})
        assert (refused.status_code, refused.json()["type"]) == (
            421,
            "/problems/misdirected-request",
        )
        assert (await client.get("/livez", headers={"Host": "10.0.0.7:8000"})).status_code == 200


@pytest.mark.parametrize(
    ("host", "name"),
    [("a.b", "a.b"), ("a.b:80", "a.b"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("", "")],
)
def test_a_host_is_its_name_without_the_port(host: str, name: str) -> None:
    """Addresses of IPv6 have colons of their own."""
    assert _name(host) == name


async def test_pages_of_other_origins_may_call_where_the_operator_says_so(serve: Serve) -> None:
    """They may send what the contract knows; no other origin may."""
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "prefer"}
    async with serve(server=ServerSettings(cors_origins=[ORIGIN])) as client:
        allowed = await client.options("/v1/programs", headers={"Origin": ORIGIN, **asked})
        read = await client.get("/v1/programs", headers={"Origin": ORIGIN})
        other = await client.get("/v1/programs", headers={"Origin": "https://other.example"})
    assert (allowed.status_code, allowed.headers["Access-Control-Allow-Origin"]) == (200, ORIGIN)
    assert read.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "Retry-After" in read.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Origin" not in other.headers


async def test_no_page_of_another_origin_may_call_unless_set(client: httpx.AsyncClient) -> None:
    """There is no header of CORS at all."""
    answer = await client.get("/v1/programs", headers={"Origin": ORIGIN})
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_browsers_neither_guess_nor_frame_nor_tell(client: httpx.AsyncClient) -> None:
    """Whatever is answered."""
    for path in ("/livez", "/v1/programs", "/v1/nothing", "/docs"):
        headers = (await client.get(path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "no-referrer"
