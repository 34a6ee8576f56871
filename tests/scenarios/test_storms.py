"""A batch while servers, workers and PostgreSQL come and go by chance."""

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from app.actions.batch_processing.suspects import MOST_CRASHES
from app.database import Database
from app.local.postgres import LocalPostgres
from app.settings import DatabaseSettings
from tests.support.counting_model import CountingModel
from tests.support.fleet import (
    Fleet,
    Unavailable,
    a_batch,
    a_fleet,
    after,
    audited,
    read,
    until_ended,
)

LONG = (pytest.mark.long, pytest.mark.timeout(3_600))


@dataclass(frozen=True)
class Storm:
    """How many items run at once, for how long on average, and how many processes die meanwhile."""

    items: int
    kills: int
    concurrency: int
    seconds: float


class Chaos:
    """Kills processes and restarts PostgreSQL by chance; each process is replaced."""

    def __init__(
        self, fleet: Fleet, model: CountingModel, postgres: LocalPostgres, random: Random
    ) -> None:
        self.kills = 0
        self._fleet = fleet
        self._model = model
        self._postgres = postgres
        self._random = random

    async def rage(self, storm: Storm, is_over: Callable[[], bool]) -> None:
        """Kill processes one after the other, all along the batch, unless it is over before."""
        async with asyncio.TaskGroup() as replacing:
            while self.kills < storm.kills and not is_over():
                await asyncio.sleep(self._random.uniform(0, 1))
                is_due = len(self._model.asked) >= self.kills * storm.items / storm.kills
                if not (is_due and self._fleet.workers and self._model.in_flight):
                    continue
                await self._fleet.kill(self._random.choice(self._fleet.workers))
                self.kills += 1
                serves = self._random.random() < 0.3
                replacing.create_task(self._replace(serves=serves))
                if self.kills % 10 == 1:
                    await self._postgres.stop()
                    await self._postgres.start()

    async def _replace(self, *, serves: bool) -> None:
        """Start a process, which refuses to while the database is away."""
        for _ in range(5):
            with suppress(RuntimeError):
                await self._fleet.add(serves=serves)
                return
        raise AssertionError("no process starts any more")


async def watch(client: httpx.AsyncClient, batch: Mapping[str, Any], over: asyncio.Event) -> int:
    """Read again and again while the database is there: counts add up, progress never falls."""
    reads, last = 0, 0
    while not over.is_set():
        with suppress(httpx.HTTPError, Unavailable):
            found = await read(client, batch)
            assert found["progress"]["done"] >= last
            last, reads = found["progress"]["done"], reads + 1
        await asyncio.sleep(0.1)
    return reads


async def failures(client: httpx.AsyncClient, batch: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Read the items that have failed, with their attempts."""
    params = {"status": "failed", "include": "attempts", "limit": "200"}
    answer = await client.get(f"/v1/batches/{batch['batch_id']}/results", params=params)
    return list(answer.json()["items"])


def deaths_alone(item: Mapping[str, Any]) -> int:
    """Count the processes that died while they ran an item and nothing else."""
    errors = [attempt["error"] for attempt in item["attempts"]]
    return sum(error["context"].get("alone", False) for error in errors)


STORMS = [
    pytest.param(Storm(400, 3, 60, 0.3), id="3 kills", marks=LONG),
    pytest.param(Storm(20_000, 100, 100, 0.05), id="100 kills", marks=LONG),
    pytest.param(
        Storm(100_000, 500, 100, 0.02),
        id="500 kills",
        marks=(pytest.mark.storm, pytest.mark.timeout(10_000)),
    ),
]


@pytest.fixture
async def new_own_database(own_postgres: LocalPostgres) -> str:
    """An empty, migrated database on a server that may be stopped."""
    name = f"chaos_{os.urandom(3).hex()}"
    await own_postgres.ensure_database(name)
    url = own_postgres.url(name)
    await Database.migrate(DatabaseSettings(url=SecretStr(url)))
    return url


@pytest.mark.parametrize("storm", STORMS)
async def test_nothing_is_lost_or_recorded_twice_while_processes_die(
    quick: dict[str, str], own_postgres: LocalPostgres, new_own_database: str, storm: Storm
) -> None:
    """Servers, workers and PostgreSQL come and go: each item has one record, few are asked anew.

    Counts add up and never fall at every read, and are SQL's in the end. An item that chance killed
    three processes with while it ran alone has failed, as one that kills them would; no other has.
    """
    seed = int(os.environ.get("DSPATCH_CHAOS_SEED", "0")) or int.from_bytes(os.urandom(3))
    random, over = Random(seed), asyncio.Event()  # noqa: S311 - a test's chance
    environment = quick | {"DSPATCH_DATABASE__URL": new_own_database}
    async with (
        CountingModel(after(lambda _: random.uniform(0, 2 * storm.seconds))) as model,
        a_fleet(environment, model) as fleet,
    ):
        client = await fleet.serve()
        await asyncio.gather(*(fleet.add() for _ in range(2)))
        batch = await a_batch(client, storm.items, max_concurrency=storm.concurrency)
        chaos = Chaos(fleet, model, own_postgres, random)
        watching = asyncio.create_task(watch(client, batch, over))
        raging = asyncio.create_task(chaos.rage(storm, over.is_set))
        try:
            ended = await until_ended(client, batch, 300 + storm.kills * 10)
        finally:
            over.set()
            reads, _ = await asyncio.gather(watching, raging)
        found = await audited(new_own_database, batch["batch_id"])
        failed = await failures(client, batch)
    told = (
        f"seed {seed}: {chaos.kills} kills, {model.extra} calls made again, {reads} reads, "
        f"{len(failed)} items blamed"
    )
    print(told)  # noqa: T201 - with which it is repeated
    assert ended["status"] == "completed", told
    assert (found["records"], found["items"]) == (storm.items, storm.items), told
    assert ended["successful_items"] == found["completed"] == storm.items - len(failed), told
    assert ended["failed_items"] == found["failed"] == len(failed), told
    assert all(deaths_alone(one) == MOST_CRASHES for one in failed), told
    assert len(model.asked) == storm.items, told
    assert model.extra <= chaos.kills * storm.concurrency, told
    assert reads > 5
