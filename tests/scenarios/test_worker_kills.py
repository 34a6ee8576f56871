"""Executions whose child processes are killed: each ends, with its own answer or with none."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import httpx
import psutil
import pytest

from app.adapters.base import Program, ProgramCall
from app.adapters.mock import MockAdapter
from app.adapters.setup import AdapterSetup
from app.policies.clock import SystemClock
from tests.adapters.programs import a_program
from tests.support.factories import post_execution, post_program
from tests.support.model_server import ModelServer
from tests.support.server import serving

CLIENTS = 8
KILL_EVERY_S = 0.2
OPTIONS = {"max_retries": 2, "retry_delay": 20}
NOTATION = "question: string -> answer: string, score: float"

# No breaker stands between a crash, which fails all calls of its child, and the next call.
SETTINGS = """
[lms.main]
model = "openai/small"
api_base = "{api_base}"

[adapters.workers]
kind = "worker"
processes = 2
runs = "{runs}"
breaker = {{failures = 1000}}
"""


class Killer:
    """Kills one child of a server by SIGKILL, again and again, as long as executions end."""

    def __init__(self, server_pid: int) -> None:
        self._server = psutil.Process(server_pid)
        self._random = Random(3)  # noqa: S311 - whom it hits
        self.ended = 0
        self.seen: set[int] = set()
        self.killed = 0

    async def run(self) -> None:
        """Kill, wherever something has ended since the last time."""
        before = -1
        while True:
            await SystemClock().sleep(KILL_EVERY_S)
            children = self.children()
            if children and self.ended > before:
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
    folder: Path, environment: Mapping[str, str], **settings: str
) -> AsyncIterator[tuple[httpx.AsyncClient, Killer]]:
    """Serve with a worker; give a client and who kills its children."""
    config = folder / "dspatch.toml"
    config.write_text(SETTINGS.format(**settings))
    async with serving("--config", str(config), environment=environment) as server:
        killer = Killer(server.process.pid)
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
            assert (record["status"], record["error"]["type"]) == ("failed", "worker_crashed")
        failures = {one["error"]["type"] for one in attempts if one["error"]}
        assert failures <= {"worker_crashed"}
    return [record["status"] for record in records]


async def scripted_answers(program: Program, count: int) -> dict[str, Any]:
    """Give what a mock answers to each question."""
    mock = MockAdapter(AdapterSetup("mock"))
    calls = [ProgramCall(program, {"question": f"question {n}"}) for n in range(count)]
    results = [await mock.execute_program(call) for call in calls]
    return {
        call.inputs["question"]: result.outputs["answer"]
        for call, result in zip(calls, results, strict=True)
    }


@pytest.mark.timeout(180)
async def test_children_that_run_a_mock_are_killed(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """Sixty executions end, and no child is left, nor what is left of one."""
    answers = await scripted_answers(a_program(NOTATION), 60)
    async with a_client(tmp_path, environment, runs="mock", api_base="http://127.0.0.1:1") as (
        client,
        killer,
    ):
        program = await post_program(
            client, {"latency_ms": 50}, adapter="workers", notation=NOTATION
        )
        await execute_all(client, killer, program, 60)
        statuses = check(await all_records(client), answers)
        zombies = [one for one in killer.children() if one.status() == psutil.STATUS_ZOMBIE]
    assert len(statuses) == 60
    assert len(set(answers.values())) > 50
    assert statuses.count("completed") > 30
    assert killer.killed >= 2
    assert not zombies
    assert not [pid for pid in killer.seen if psutil.pid_exists(pid)]


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_children_that_run_dspy_are_killed(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """A thousand executions on a model that repeats the question."""
    answers = {f"question {number}": f"question {number}" for number in range(1_000)}
    async with (
        ModelServer() as model,
        a_client(tmp_path, environment, runs="dspy", api_base=model.base_url) as (client, killer),
    ):
        program = await post_program(client, adapter="workers", config={}, notation=NOTATION)
        await execute_all(client, killer, program, 1_000)
        statuses = check(await all_records(client), answers)
    assert len(statuses) == 1_000
    assert killer.killed > 10
    assert not [pid for pid in killer.seen if psutil.pid_exists(pid)]
