"""The probes of Kubernetes."""

import asyncio
from dataclasses import replace
from random import Random

import httpx
from pydantic import SecretStr

from app.actions.readiness import Readiness
from app.adapters.guarded import GuardedAdapter
from app.adapters.mock import MockAdapter
from app.adapters.registry import AdapterRegistry
from app.adapters.setup import AdapterSetup
from app.background import Background
from app.database import Database
from app.main import create_app
from app.policies.breaker import Breaker
from app.policies.clock import SystemClock
from app.runtime import WARM_UP, Runtime
from app.settings import DatabaseSettings, Settings
from tests.support.adapters import ScriptedAdapter


def _client(settings: Settings, runtime: Runtime | None) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(create_app(settings, runtime))
    return httpx.AsyncClient(transport=transport, base_url="http://dspatch")


async def test_liveness_looks_at_this_process_alone(settings: Settings) -> None:
    """It answers without a database, and even without a runtime."""
    async with _client(settings, None) as client:
        answer = await client.get("/livez")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "checks": {"event_loop": "ok"}}


async def test_readiness_looks_at_the_database(client: httpx.AsyncClient) -> None:
    """Where it answers, requests may come."""
    answer = await client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ok",
        "checks": {"database": "ok", "schema": "ok", "adapters": "ok", "clock": "ok"},
    }


async def test_readiness_fails_while_the_database_is_away(
    settings: Settings, runtime: Runtime
) -> None:
    """503 with the reason, in the shape of a probe."""
    url = SecretStr("postgresql://nobody@127.0.0.1:1/nothing")
    away = Database.connect(DatabaseSettings(url=url))
    async with _client(
        settings, replace(runtime, is_ready=Readiness(away, SystemClock()))
    ) as client:
        answer = await client.get("/readyz")
        assert (await client.get("/livez")).status_code == 200
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "unavailable",
        "checks": {
            "database": "The database does not answer.",
            "adapters": "ok",
            "clock": "ok",
        },
    }
    await away.close()


async def test_readiness_fails_where_the_clocks_disagree(
    settings: Settings, runtime: Runtime
) -> None:
    """Ids are times: over five seconds between the machine's clock and the database's, 503."""
    async with _client(settings, replace(runtime, clock_offset_s=-5.1)) as client:
        answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {
        "database": "ok",
        "schema": "ok",
        "adapters": "ok",
        "clock": "The database's clock was -5 s off this machine's at the start.",
    }


async def test_readiness_fails_where_no_adapter_can_be_called(
    settings: Settings, runtime: Runtime
) -> None:
    """One that lets calls pass is enough, and a mock is none."""
    breakers = [Breaker(SystemClock(), most=1) for _ in range(2)]
    guarded = [
        GuardedAdapter(ScriptedAdapter(name=f"adapter {number}"), breaker)
        for number, breaker in enumerate(breakers)
    ]
    adapters = AdapterRegistry([*guarded, MockAdapter(AdapterSetup("mock"))])
    async with _client(settings, replace(runtime, adapters=adapters)) as client:
        found = []
        for breaker in breakers:
            with breaker.admit() as passage:
                passage.failed()
            found.append((await client.get("/readyz")).json()["checks"]["adapters"])
        assert (await client.get("/readyz")).status_code == 503
        breakers[0].reset()
        assert (await client.get("/readyz")).status_code == 200
    assert found == ["ok", "The breaker of every adapter is open."]


async def test_mocks_alone_are_what_there_is_to_call() -> None:
    """Where somebody only rehearses, all is ready."""
    assert AdapterRegistry([MockAdapter(AdapterSetup("mock"))]).lets_calls_pass()


async def test_startup_waits_for_the_adapters(settings: Settings, runtime: Runtime) -> None:
    """503 while they warm up, 200 from then on."""
    warm = asyncio.Event()

    async def warm_up() -> None:
        await warm.wait()

    background = Background(SystemClock(), Random(0))  # noqa: S311 - jitter
    background.start(WARM_UP, warm_up)
    async with _client(settings, replace(runtime, background=background)) as client:
        before = await client.get("/startupz")
        warm.set()
        await asyncio.gather(*background._tasks.values())
        after = await client.get("/startupz")
    assert (before.status_code, before.json()["checks"]) == (
        503,
        {"schema": "ok", "warm_up": "under way"},
    )
    assert (after.status_code, after.json()["status"]) == (200, "ok")
    await background.close()
