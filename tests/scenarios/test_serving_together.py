"""Several processes that serve on one socket: `dspatch serve --processes`."""

import asyncio
import os
import re
import signal
from collections.abc import Mapping
from contextlib import suppress

import asyncpg
import httpx
import pytest

from tests.support.load import Load, answers
from tests.support.server import ServerProcess, serving, slow_program
from tests.support.truth import require_truth
from tests.support.wait import wait_until, wait_until_so

INPUTS = {"inputs": {"a": "x"}}
START_S = 200
"""Within this processes start, on a machine that others keep busy."""

_COUNTED = re.compile(r"^dspatch_executions_total\{.*\} (.*)$", re.MULTILINE)
_CONNECTIONS = re.compile(r"^dspatch_pool_connections\{.*\} (.*)$", re.MULTILINE)


async def _pids(url: str) -> set[int]:
    """Give the processes that serve: they have a row, and they live."""
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("SELECT pid FROM processes WHERE ended_at IS NULL")
    await connection.close()
    return {row["pid"] for row in rows if _lives(row["pid"])}


def _lives(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


async def _until_serving(url: str, count: int, without: int | None = None) -> set[int]:
    """Wait for so many processes, none of which is this one."""

    async def are_there() -> bool:
        return len(await _pids(url) - {without}) == count

    await wait_until_so(are_there, START_S)
    return await _pids(url)


async def _told(server: ServerProcess, figure: re.Pattern[str]) -> float:
    """Add up a figure of `/metrics`, as whichever process answers tells it."""
    async with httpx.AsyncClient(base_url=server.base_url, timeout=60) as client:
        page = (await client.get("/metrics")).text
    return sum(map(float, figure.findall(page)))


async def _execute(server: ServerProcess, path: str, times: int) -> set[int]:
    """Execute on a connection each, so that any process takes it; give the statuses."""
    async with httpx.AsyncClient(
        base_url=server.base_url, timeout=60, headers={"Connection": "close"}
    ) as client:
        found = await asyncio.gather(*(client.post(path, json=INPUTS) for _ in range(times)))
    return {answer.status_code for answer in found}


async def _path_of_a_program(server: ServerProcess) -> str:
    async with httpx.AsyncClient(base_url=server.base_url, timeout=60) as client:
        return await slow_program(client, 10)


async def test_processes_serve_on_one_socket(
    environment: dict[str, str], database_url: str
) -> None:
    """Each has a row and a pool; whoever is asked tells the figures of all; they end together."""
    environment = environment | {"DSPATCH_DATABASE__POOL_SIZE": "3"}
    async with serving("--processes", "2", environment=environment) as server:
        await _until_serving(database_url, 2)
        path = await _path_of_a_program(server)
        assert await _execute(server, path, 20) == {200}

        async def are_all_told() -> bool:
            return await _told(server, _CONNECTIONS) == 2 * 3

        await wait_until_so(are_all_told)
        assert [await _told(server, _COUNTED) for _ in range(4)] == [20] * 4
        assert await server.stop() == 0
        assert await _pids(database_url) == set()


async def _replace(url: str, pid: int, number: signal.Signals) -> None:
    """Send a signal to one of three and wait for who takes its place."""
    os.kill(pid, number)
    await _until_serving(url, 3, without=pid)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_one_of_three_is_killed_and_all_are_replaced_under_load(
    environment: Mapping[str, str], database_url: str
) -> None:
    """The others answer while one is killed; then each ends by SIGTERM, and no request is lost."""
    delay = {"DSPATCH_SERVER__DRAIN_DELAY_MS": "3000"}
    async with serving("--processes", "3", environment={**environment, **delay}) as server:
        first, second, third = await _until_serving(database_url, 3)
        path = await _path_of_a_program(server)
        async with Load(path, server.base_url, 12, INPUTS) as load:
            await wait_until(lambda: load.served > 100, START_S)
            os.kill(first, signal.SIGKILL)
            served = load.served
            await wait_until(lambda: load.served > served + 100, START_S)
            await _until_serving(database_url, 3, without=first)
            lost = [call for call in load.calls if call.status is None]
            assert len(lost) <= 12  # one for each connection, at most
            told = len(load.calls)
            for pid in (second, third):
                await _replace(database_url, pid, signal.SIGTERM)
        assert answers(load.calls[told:]) == {200: len(load.calls) - told}
        async with httpx.AsyncClient(base_url=server.base_url, timeout=60) as client:
            await require_truth(database_url, client, path.split("/")[3], load.calls)
        counted = await _told(server, _COUNTED)
        assert load.served <= counted <= len(load.calls)
        print(len(load.calls), "requests,", len(lost), "lost by the kill")  # noqa: T201 - for the page
