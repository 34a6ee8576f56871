"""Executions whose child processes are killed: each ends, with its own answer or with none."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import httpx
import psutil
import pytest

from app.policies.clock import SystemClock
from tests.support.factories import post_execution, post_program
from tests.support.model_server import ModelServer
from tests.support.server import serving

EXECUTIONS = 1_000
CLIENTS = 8
KILL_EVERY_S = 0.2
OPTIONS = {"max_retries": 2, "retry_delay": 20}
ENDS = {"worker_crashed", "timeout", "overloaded"}
"""How what is not completed fails: late, or left alone, where no child becomes ready for long."""

NOTATION = "question: string -> answer: string, score: float"

# The breaker lets crashes pass that follow each other: how often calls are tried again is told.
SETTINGS = """
[lms.main]
model = "openai/small"
api_base = "{api_base}"

[adapters.workers]
kind = "worker"
processes = 2
breaker = {{failures = 1000}}
"""


class Killer:
    """Kills one child of a server by SIGKILL, again and again; with `mercy`, only between ends.

    A child needs seconds to start: without mercy hardly any gets so far.
    """

    def __init__(self, server_pid: int, *, mercy: bool) -> None:
        self._server = psutil.Process(server_pid)
        self._mercy = mercy
        self._random = Random(3)  # noqa: S311 - whom it hits
        self.ended = 0
        self.seen: set[int] = set()
        self.killed = 0

    async def run(self) -> None:
        """Kill; with mercy, where something has ended since the last time."""
        before = -1
        while True:
            await SystemClock().sleep(KILL_EVERY_S)
            children = self.children()
            if children and (self.ended > before or not self._mercy):
                before = self.ended
                with suppress(ProcessLookupError):
                    os.kill(self._random.choice(children).pid, signal.SIGKILL)
                    self.killed += 1

    def children(self) -> list[psutil.Process]:
        """Give the children of the server, dead ones that nobody waited for too."""
        children = self._server.children()
        self.seen |= {child.pid for child in children}
        return children


@asynccontextmanager
async def a_client(
    folder: Path, environment: Mapping[str, str], api_base: str, *, mercy: bool
) -> AsyncIterator[tuple[httpx.AsyncClient, Killer]]:
    """Serve with a worker; give a client and who kills its children."""
    config = folder / "dspatch.toml"
    config.write_text(SETTINGS.format(api_base=api_base))
    async with serving("--config", str(config), environment=environment) as server:
        killer = Killer(server.process.pid, mercy=mercy)
        async with httpx.AsyncClient(base_url=server.base_url, timeout=180) as client:
            yield client, killer
        killer.children()


async def execute_all(
    client: httpx.AsyncClient, killer: Killer, program: Mapping[str, Any], count: int
) -> None:
    """Execute so often, each time with a question of its own, while children are killed."""
    numbers = iter(range(count))

    async def one_client() -> None:
        for number in numbers:
            inputs = {"question": f"question {number}"}
            await post_execution(client, program, inputs, options=OPTIONS)
            killer.ended += 1

    killing = asyncio.create_task(killer.run())
    await asyncio.gather(*(one_client() for _ in range(CLIENTS)))
    killing.cancel()
    await asyncio.wait([killing])


async def all_records(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    """Read all executions."""
    params = {"limit": "200", "include": "inputs,outputs,attempts"}
    found: list[dict[str, Any]] = []
    while True:
        page = (await client.get("/v1/executions", params=params)).json()
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        params["cursor"] = page["next_cursor"]


def check(records: list[dict[str, Any]], answers: Mapping[str, Any]) -> list[str]:
    """Hold each record against its own answer; give the statuses."""
    for record in records:
        attempts = record["attempts"]
        assert 1 <= len(attempts) <= 1 + OPTIONS["max_retries"]
        if record["status"] == "completed":
            assert record["outputs"]["answer"] == answers[record["inputs"]["question"]]
        else:
            assert record["status"] == "failed"
            assert record["error"]["type"] in ENDS
        assert {one["error"]["type"] for one in attempts if one["error"]} <= ENDS
    return [record["status"] for record in records]


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mercy", [True, False])
async def test_all_end_while_children_are_killed(
    tmp_path: Path, environment: dict[str, str], *, mercy: bool
) -> None:
    """A thousand executions, each with its own answer or none, and no child is left."""
    answers = {f"question {number}": f"question {number}" for number in range(EXECUTIONS)}
    async with (
        ModelServer() as model,
        a_client(tmp_path, environment, model.base_url, mercy=mercy) as (client, killer),
    ):
        program = await post_program(client, adapter="workers", config={}, notation=NOTATION)
        await execute_all(client, killer, program, EXECUTIONS)
        statuses = Counter(check(await all_records(client), answers))
        zombies = [one for one in killer.children() if one.status() == psutil.STATUS_ZOMBIE]
    print(dict(statuses), killer.killed, "of", len(killer.seen), "children killed")  # noqa: T201 - for the page of scenarios
    assert statuses.total() == EXECUTIONS
    assert killer.killed > 10
    assert not zombies
    assert not [pid for pid in killer.seen if psutil.pid_exists(pid)]
