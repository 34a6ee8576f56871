"""Real servers on one database, each with a client."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx

from tests.support.factories import post_program
from tests.support.load import INPUTS
from tests.support.server import ServerProcess, serving
from tests.support.truth import asked
from tests.support.wait import wait_until_so

RUNS_IN = """
SELECT count(*) FROM executions AS e JOIN processes AS p ON p.id = e.owner_id
WHERE e.status = 'running' AND p.pid = $1
"""


class Peer:
    """A server and a client of it."""

    def __init__(self, server: ServerProcess, client: httpx.AsyncClient) -> None:
        self.server = server
        self.client = client

    def execute(self, program_id: str, **headers: str) -> asyncio.Task[httpx.Response]:
        """Ask for an execution."""
        path = f"/v1/programs/{program_id}/executions"
        return asyncio.ensure_future(self.client.post(path, json=INPUTS, headers=headers))

    async def accept(self, program_id: str) -> str:
        """Have an execution run in the background; give its id."""
        answer = await self.execute(program_id, Prefer="respond-async")
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text
        return str(answer.json()["execution_id"])

    async def ended(self, execution_id: str) -> dict[str, Any]:
        """Wait until an execution has ended; give its record."""
        path = f"/v1/executions/{execution_id}"
        while True:
            record = (await self.client.get(path, params={"wait_ms": 30_000})).json()
            if record["finished_at"] is not None:
                return dict(record)

    async def get(self, execution_id: str) -> dict[str, Any]:
        """Read a record."""
        return dict((await self.client.get(f"/v1/executions/{execution_id}")).json())

    async def listed(self, status: str | None = None) -> list[dict[str, Any]]:
        """List the records, all or those of a status, newest first."""
        params = {"limit": "200"} | ({"status": status} if status else {})
        found: list[dict[str, Any]] = []
        while True:
            page = (await self.client.get("/v1/executions", params=params)).json()
            found += page["items"]
            if page["next_cursor"] is None:
                return found
            params["cursor"] = page["next_cursor"]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server."""
        os.kill(self.server.process.pid, number)


@asynccontextmanager
async def peers(
    environment: dict[str, str], *own: dict[str, str]
) -> AsyncIterator[tuple[Peer, ...]]:
    """Serve once for each of `own`, which are variables besides those of all."""
    async with AsyncExitStack() as stack:
        opened = []
        for variables in own:
            server = await stack.enter_async_context(serving(environment=environment | variables))
            client = httpx.AsyncClient(base_url=server.base_url, timeout=60)
            opened.append(Peer(server, await stack.enter_async_context(client)))
        yield tuple(opened)


async def until_running(peer: Peer, count: int = 1) -> list[str]:
    """Wait until so many executions run; give their ids."""

    async def are_running() -> bool:
        return len(await peer.listed("running")) >= count

    await wait_until_so(are_running)
    return [str(one["execution_id"]) for one in await peer.listed("running")]


async def until_none_runs(peer: Peer) -> None:
    """Wait until no execution runs."""

    async def none_runs() -> bool:
        return not await peer.listed("running")

    await wait_until_so(none_runs)


async def a_mock(client: httpx.AsyncClient, latency_ms: int, name: str = "answerer") -> str:
    """Register a program that takes so long."""
    script = {"latency_ms": latency_ms, "outputs": {"answer": "I"}}
    return str((await post_program(client, script, name=name))["program_id"])


async def kill_amid_work(url: str, peer: Peer) -> None:
    """Kill a server while executions run in it: frozen, it ends none between look and kill."""

    async def runs_some() -> bool:
        peer.signal(signal.SIGSTOP)
        if await asked(url, RUNS_IN, peer.server.process.pid):
            return True
        peer.signal(signal.SIGCONT)
        return False

    await wait_until_so(runs_some)
    await peer.server.stop(signal.SIGKILL)
