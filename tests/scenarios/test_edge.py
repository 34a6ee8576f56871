"""Many clients that want nothing, or want it very slowly, beside some that want to be served."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import quantiles
from urllib.parse import urlsplit

import psutil
import pytest

from tests.support.load import Load, answers
from tests.support.peers import Peer, a_mock, peers
from tests.support.wait import wait_until

IDLE, DRIPPING, HEALTHY = 5_000, 500, 4
CALLS = 600
MIB = 1024**2
QUIET = {"DSPATCH_LOGGING__LEVEL": "warning"}


@asynccontextmanager
async def a_crowd(base_url: str) -> AsyncIterator[None]:
    """Have a crowd come until the block ends; it begins when all have been there once."""
    arguments = (str(urlsplit(base_url).port), str(IDLE), str(DRIPPING))
    crowd = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.crowd", *arguments), stdout=asyncio.subprocess.PIPE
    )
    assert crowd.stdout is not None
    try:
        assert await crowd.stdout.readline() == b"all are there\n"
        yield
    finally:
        crowd.kill()
        await crowd.communicate()


async def _p99_ms(peer: Peer, path: str) -> float:
    async with Load(path, peer.server.base_url, HEALTHY) as load:
        await wait_until(lambda: load.served >= CALLS, 120)
        assert set(answers(load.calls)) == {200}
    return 1_000 * quantiles((call.took_s for call in load.calls), n=100)[98]


@pytest.mark.long
async def test_a_crowd_does_not_keep_others_from_being_served(environment: dict[str, str]) -> None:
    """5 000 silent connections and 500 that drip: p99 within twice, memory within 200 MiB."""
    async with peers(environment | QUIET, {}) as (peer,):
        path = f"/v1/programs/{await a_mock(peer.client, 20)}/executions"
        process = psutil.Process(peer.server.process.pid)
        await _p99_ms(peer, path)  # warm
        alone_ms, held = await _p99_ms(peer, path), process.memory_info().rss
        async with a_crowd(peer.server.base_url):
            beside_ms = await _p99_ms(peer, path)
            grown = (process.memory_info().rss - held) / MIB
        print(f"p99 {alone_ms:.0f} ms alone, {beside_ms:.0f} beside a crowd; {grown:+.0f} MiB")  # noqa: T201 - for the page of scenarios
    assert grown < 200
    assert beside_ms < 2 * alone_ms
