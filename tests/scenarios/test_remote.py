"""Two Dspatches: one runs its programs on the other, whose process is killed and started again."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.support.another_dspatch import free_port
from tests.support.factories import post_execution, post_program
from tests.support.peers import Peer, until_none_runs, until_running
from tests.support.server import run_dspatch, serving

SLOW = {"latency_ms": 3_600_000}


@asynccontextmanager
async def a_peer(
    environment: Mapping[str, str], port: int = 0, key: str | None = None
) -> AsyncIterator[Peer]:
    """Serve on a port, with a client that shows a key."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    async with (
        serving("--port", str(port), environment=environment) as server,
        httpx.AsyncClient(base_url=server.base_url, headers=headers, timeout=30) as client,
    ):
        yield Peer(server, client)


@pytest.fixture
def far_environment(
    new_database: Callable[[str], Coroutine[None, None, str]], worker_id: str
) -> dict[str, str]:
    """Variables of another Dspatch, which asks for keys."""
    return {"DSPATCH_DATABASE__URL": asyncio.run(new_database(f"far_{worker_id}"))}


async def a_key(environment: Mapping[str, str]) -> str:
    """Make a key that may register and execute."""
    wanted = ("keys", "create", "near", "--scope", "manage", "--scope", "execute", "--json")
    code, out, err = await run_dspatch(*wanted, environment=environment)
    assert code == 0, err
    return str(json.loads(out)["key"])


async def on_the_other(near: Peer, name: str, script: Mapping[str, Any] | None = None) -> Any:
    """Register a program that the other Dspatch is to run."""
    return await post_program(near.client, script, name=name, adapter="eu")


@pytest.mark.long
@pytest.mark.timeout(180)
async def test_programs_run_on_another_dspatch_whatever_becomes_of_it(
    environment: dict[str, str], far_environment: dict[str, str]
) -> None:
    """It is asked under a key; cancelled there what is cancelled here; found again when it is back.

    While it is away the record says that it could not be reached.
    """
    key, port = await a_key(far_environment), free_port()
    near_environment = environment | {
        "DSPATCH_ADAPTERS__EU__KIND": "remote",
        "DSPATCH_ADAPTERS__EU__URL": f"http://127.0.0.1:{port}",
        "DSPATCH_ADAPTERS__EU__ADAPTER": "mock",
        "DSPATCH_ADAPTERS__EU__API_KEY": key,
    }
    async with a_peer(near_environment) as near:
        async with a_peer(far_environment, port, key) as far:
            quick = await on_the_other(near, "quick")
            done = (await post_execution(near.client, quick)).json()
            (there,) = await far.listed()
            assert (done["outputs"], done["adapter"]) == ({"answer": "Paris"}, "eu")
            assert (there["program_name"][:6], there["usage"]) == ("quick.", done["usage"])

            slow = await on_the_other(near, "slow", SLOW)
            waiting = near.execute(slow["program_id"])
            await until_running(far)
            (here,) = await until_running(near)
            await near.client.post(f"/v1/executions/{here}/cancel")
            assert (await waiting).status_code == httpx.codes.CONFLICT
            await until_none_runs(far)
            assert {of["status"] for of in await far.listed()} == {"completed", "cancelled"}

            await far.server.stop(signal.SIGKILL)
            lost = await post_execution(near.client, quick, options={"max_retries": 0})
            assert lost.status_code == httpx.codes.SERVICE_UNAVAILABLE
            assert lost.json()["error"]["type"] == "connection_failed"

        async with a_peer(far_environment, port, key) as far:
            again = await post_execution(near.client, quick)
            assert again.json()["outputs"] == {"answer": "Paris"}
            programs = (await far.client.get("/v1/programs")).json()["items"]
            assert len(programs) == 2
            await near.client.post(f"/v1/programs/{quick['program_id']}/archive")
            programs = (await far.client.get("/v1/programs")).json()["items"]
            assert {of["name"][:4]: of["status"] for of in programs} == {
                "quic": "archived",
                "slow": "ready",
            }
