"""`dspatch worker`, as an operator types it."""

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
    async with (
        serving(*local, environment=api_only) as server,
        working(*local, environment=NO_MODEL) as worker,
        httpx.AsyncClient(base_url=server.base_url, timeout=60) as client,
    ):
        peer = Peer(server, client)
        record = await peer.ended(await peer.accept(await a_mock(client, 0)))
        assert await worker.stop() == 0
    assert record["status"] == "completed"
