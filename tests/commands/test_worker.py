"""`dspatch worker`, as an operator types it."""

import re
from pathlib import Path

import httpx
import pytest

from tests.support.peers import Peer, a_mock
from tests.support.server import run_dspatch, serving, working

NO_MODEL = {"DSPATCH_LMS__FAR__MODEL": "openai/far"}
"""A model that is set: none is brought along."""


async def test_it_needs_a_database() -> None:
    """As a server does: an address, or one of its own."""
    code, _, err = await run_dspatch("worker")
    assert code == 2
    assert "database.url: needed" in err


@pytest.mark.timeout(180)  # two starts, which a busy machine stretches
async def test_it_works_beside_a_local_server(tmp_path: Path) -> None:
    """On the database that both share by their directory."""
    local = ("--local", "--data-dir", str(tmp_path))
    api_only = NO_MODEL | {"DSPATCH_WORKER__EMBEDDED": "false"}
    probed = NO_MODEL | {"DSPATCH_WORKER__PROBES_PORT": "0"}
    async with (
        serving(*local, environment=api_only) as server,
        working(*local, environment=probed) as worker,
        httpx.AsyncClient(base_url=server.base_url, timeout=60) as client,
    ):
        peer = Peer(server, client)
        record = await peer.ended(await peer.accept(await a_mock(client, 0)))
        async with httpx.AsyncClient(base_url=worker.base_url, timeout=60) as prober:
            probes = [(await prober.get(path)).status_code for path in ("/livez", "/readyz")]
            page = (await prober.get("/metrics")).text
            nothing_else = await prober.get("/v1/programs")
        assert await worker.stop() == 0
    assert record["status"] == "completed"
    assert (probes, nothing_else.status_code) == ([200, 200], 404)
    assert re.search(r"dspatch_executions_total{.*} 1.0", page)
