"""Memory stays where it is, however many executions have come and gone."""

from collections.abc import Sequence
from functools import partial
from statistics import linear_regression

import psutil
import pytest

from tests.support.load import Load
from tests.support.peers import Peer, a_mock, peers
from tests.support.truth import counted, require_truth, until_at_rest
from tests.support.wait import wait_until, wait_until_so

CLIENTS = 16
MIB = 1024**2
QUIET = {"DSPATCH_LOGGING__LEVEL": "warning"}
PARTS = 20
"""So often is the size looked at; the first fifth of the executions warms up."""


async def _is_warm(peer: Peer) -> bool:
    """Tell whether everything has been imported that will be."""
    return (await peer.client.get("/startupz")).status_code == 200


def _has_served(load: Load, count: float) -> bool:
    return load.served >= count


async def _sizes(
    environment: dict[str, str], url: str, executions: int
) -> Sequence[tuple[int, float]]:
    """Execute so often; give the executions and the server's size in bytes, part by part."""
    sizes = []
    async with peers(environment | QUIET, {}) as (peer,):
        program_id = await a_mock(peer.client, 0)
        await wait_until_so(partial(_is_warm, peer), 60)
        process = psutil.Process(peer.server.process.pid)
        path = f"/v1/programs/{program_id}/executions"
        async with Load(path, peer.server.base_url, CLIENTS) as load:
            for part in range(1, PARTS + 1):
                await wait_until(partial(_has_served, load, executions * part / PARTS), 600)
                sizes.append((load.served, process.memory_info().rss))
        await until_at_rest(url)
        rows = await require_truth(url, peer.client, program_id, load.calls)
        assert await counted(peer.client) == len(rows) >= executions
    return sizes


async def _growth(environment: dict[str, str], url: str, executions: int) -> float:
    """Give the bytes that stay of an execution, once the server is warm."""
    (_, *warm) = (await _sizes(environment, url, executions))[PARTS // 5 - 1 :]
    slope, _ = linear_regression(*zip(*warm, strict=True))
    print(f"{executions} executions: {warm[0][1] / MIB:.0f} MiB, {slope:+.0f} bytes an execution")  # noqa: T201 - for the page of scenarios
    return float(slope)


@pytest.mark.long
@pytest.mark.timeout(1_200)
async def test_memory_is_flat_over_a_hundred_thousand_executions(
    quick: dict[str, str], database_url: str
) -> None:
    """Once it is warm: what stays is less than a hundred bytes each, ten megabytes in all."""
    slope = await _growth(quick, database_url, 100_000)
    assert slope < 100
