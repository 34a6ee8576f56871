"""Batches over several processes that are killed, frozen and replaced while items run."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from random import Random
from time import monotonic
from typing import Any

import asyncpg
import httpx
import pytest
from pydantic import SecretStr

from app.checkpoints import Checkpoint
from app.database import Database
from app.local.postgres import LocalPostgres
from app.settings import DatabaseSettings
from tests.support.counting_model import CountingModel
from tests.support.factories import post_program
from tests.support.server import ServerProcess, serving, working
from tests.support.wait import wait_until, wait_until_so

pytestmark = pytest.mark.timeout(180)  # several starts, which a busy machine stretches
LONG = (pytest.mark.long, pytest.mark.timeout(3_600))

API_ONLY = {"DSPATCH_WORKER__EMBEDDED": "false"}
LASTING = {"pending", "running", "paused"}

AUDIT = """
SELECT count(*) AS records, count(DISTINCT item_index) AS items,
    count(*) FILTER (WHERE status = 'completed') AS completed,
    count(*) FILTER (WHERE status = 'failed') AS failed,
    count(*) FILTER (WHERE status = 'cancelled') AS cancelled
FROM executions WHERE batch_id = $1
"""


class Unavailable(Exception):  # noqa: N818 - it is no fault
    """The database is away for now."""


async def audited(url: str, batch_id: str) -> dict[str, int]:
    """Count the records of a batch by SQL."""
    connection = await asyncpg.connect(url)
    try:
        return dict(await connection.fetchrow(AUDIT, batch_id) or {})
    finally:
        await connection.close()


class Fleet:
    """Processes on one database that work on batches, and one that serves and stays."""

    def __init__(self, environment: Mapping[str, str], stack: AsyncExitStack) -> None:
        self._environment = dict(environment)
        self._stack = stack
        self.workers: list[ServerProcess] = []

    async def serve(self) -> httpx.AsyncClient:
        """Serve without working; give a client."""
        environment = self._environment | API_ONLY
        server = await self._stack.enter_async_context(serving(environment=environment))
        client = httpx.AsyncClient(base_url=server.base_url, timeout=60)
        return await self._stack.enter_async_context(client)

    async def add(self, *, serves: bool = False, **variables: str) -> ServerProcess:
        """Start a worker, or a server that works too."""
        start = serving if serves else working
        environment = self._environment | variables
        process = await self._stack.enter_async_context(start(environment=environment))
        self.workers.append(process)
        return process

    async def kill(self, process: ServerProcess) -> None:
        """Kill a worker."""
        self.workers.remove(process)
        await process.stop(signal.SIGKILL)


@asynccontextmanager
async def a_fleet(environment: Mapping[str, str], model: CountingModel) -> AsyncIterator[Fleet]:
    """Give processes that ask this model."""
    async with AsyncExitStack() as stack:
        yield Fleet({**environment, **model.variables}, stack)


async def a_batch(
    client: httpx.AsyncClient, count: int, *, adapter: str = "counting", **options: Any
) -> dict[str, Any]:
    """Ask for a batch of numbered questions on a program of its own."""
    name = f"of_{count}_{os.urandom(3).hex()}"
    program = await post_program(client, name=name, adapter=adapter, config={})
    body = {
        "batch_inputs": [{"question": f"{name}-{number}"} for number in range(count)],
        "batch_options": options,
    }
    answer = await client.post(f"/v1/programs/{program['program_id']}/batches", json=body)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


async def read(
    client: httpx.AsyncClient, batch: Mapping[str, Any], **params: Any
) -> dict[str, Any]:
    """Read a batch, whose counts must add up."""
    answer = await client.get(f"/v1/batches/{batch['batch_id']}", params=params)
    if answer.status_code == 503:
        raise Unavailable
    assert answer.status_code == 200, answer.text
    found = dict(answer.json())
    parts = ("pending", "running", "successful", "failed", "cancelled")
    assert sum(found[f"{part}_items"] for part in parts) == found["total_items"]
    assert min(found[f"{part}_items"] for part in parts) >= 0
    return found


async def until_ended(
    client: httpx.AsyncClient, batch: Mapping[str, Any], within_s: float = 120
) -> dict[str, Any]:
    """Wait for the end of a batch."""
    deadline = monotonic() + within_s
    while monotonic() < deadline:
        with suppress(httpx.HTTPError, Unavailable):
            found = await read(client, batch, wait_ms=5_000)
            if found["status"] not in LASTING:
                return found
    raise TimeoutError(f"not ended within {within_s} s")


async def until_done(client: httpx.AsyncClient, batch: Mapping[str, Any], count: int) -> None:
    """Wait until so many items have ended."""

    async def are_done() -> bool:
        return bool((await read(client, batch))["progress"]["done"] >= count)

    await wait_until_so(are_done, 60)


def after(seconds: Callable[[str], float]) -> Callable[[str], Awaitable[str]]:
    """Answer a question with itself after so long."""

    async def answer(question: str) -> str:
        await asyncio.sleep(seconds(question))
        return question

    return answer


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

    async def rage(self, kills: int, pause_s: float, is_over: Callable[[], bool]) -> None:
        """Kill so many processes one after the other, unless it is over before."""
        async with asyncio.TaskGroup() as replacing:
            while self.kills < kills and not is_over():
                await asyncio.sleep(self._random.uniform(0, 2 * pause_s))
                if not (self._fleet.workers and self._model.in_flight):
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


@dataclass(frozen=True)
class Storm:
    """How many items run at once, for how long on average, and how many processes die meanwhile."""

    items: int
    kills: int
    concurrency: int
    seconds: float


STORMS = [
    pytest.param(Storm(400, 3, 60, 0.3), id="3 kills", marks=LONG),
    pytest.param(Storm(20_000, 100, 100, 0.2), id="100 kills", marks=LONG),
    pytest.param(
        Storm(100_000, 500, 100, 0.1),
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

    Counts add up and never fall at every read, and are SQL's in the end.
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
        raging = asyncio.create_task(chaos.rage(storm.kills, 0.5, over.is_set))
        try:
            ended = await until_ended(client, batch, 300 + storm.kills * 10)
        finally:
            over.set()
            reads, _ = await asyncio.gather(watching, raging)
        found = await audited(new_own_database, batch["batch_id"])
    told = f"seed {seed}: {chaos.kills} kills, {model.extra} calls made again, {reads} reads"
    print(told)  # noqa: T201 - with which it is repeated
    assert ended["status"] == "completed", told
    assert (found["records"], found["items"]) == (storm.items, storm.items), told
    assert ended["successful_items"] == found["completed"] == storm.items, told
    assert len(model.asked) == storm.items, told
    assert model.extra <= chaos.kills * storm.concurrency, told
    assert reads > 5


PLACES = {
    Checkpoint.BEFORE_TAKE: 0,
    Checkpoint.TAKEN: 0,
    Checkpoint.ITEMS_CLAIMED: 0,
    Checkpoint.ITEM_ANSWERED: 1,
    Checkpoint.ITEMS_RECORDED: 0,
    Checkpoint.CLOSING: 0,
    Checkpoint.CLOSED: 0,
}
"""Where a process is killed, and how many calls at least are made again for that."""

CRASHES = [
    pytest.param(
        checkpoint,
        kind,
        marks=() if (checkpoint, kind) == (Checkpoint.ITEMS_CLAIMED, "worker") else LONG,
    )
    for checkpoint in PLACES
    for kind in ("worker", "server")
]


@pytest.mark.parametrize(("checkpoint", "kind"), CRASHES)
async def test_a_crash_in_a_lane_is_made_good_by_another(
    quick: dict[str, str], database_url: str, checkpoint: Checkpoint, kind: str
) -> None:
    """Wherever it was: every item ends once, the batch is closed once, few are asked again."""
    async with CountingModel() as model, a_fleet(quick, model) as fleet:
        client = await fleet.serve()
        dying = await fleet.add(serves=kind == "server", DSPATCH_CRASH_AT=f"{checkpoint}:1")
        batch = await a_batch(client, 30, max_concurrency=3)
        assert await asyncio.wait_for(dying.process.wait(), 60) == -signal.SIGKILL
        await fleet.add()
        ended = await until_ended(client, batch)
        found = await audited(database_url, batch["batch_id"])
    assert (ended["status"], ended["successful_items"]) == ("completed", 30)
    assert (found["records"], found["items"], found["completed"]) == (30, 30, 30)
    assert PLACES[checkpoint] <= model.extra <= 2 * 3 + 10


@pytest.mark.long
async def test_a_crash_of_who_takes_over_is_made_good(
    quick: dict[str, str], database_url: str
) -> None:
    """A lane passes from one that was killed over one that dies as it takes it; both are told."""
    async with (
        CountingModel(after(lambda _: 0.2)) as model,
        a_fleet(quick, model) as fleet,
    ):
        client = await fleet.serve()
        first = await fleet.add()
        batch = await a_batch(client, 40, max_concurrency=4)
        await until_done(client, batch, 8)
        await fleet.kill(first)
        second = await fleet.add(DSPATCH_CRASH_AT=f"{Checkpoint.TAKEN}:1")
        assert await asyncio.wait_for(second.process.wait(), 60) == -signal.SIGKILL
        await fleet.add()
        ended = await until_ended(client, batch)
        found = await audited(database_url, batch["batch_id"])
        results = await client.get(
            f"/v1/batches/{batch['batch_id']}/results",
            params={"include": "attempts", "limit": 40},
        )
    attempts = [len(one["attempts"]) for one in results.json()["items"]]
    assert (ended["status"], ended["successful_items"]) == ("completed", 40)
    assert (found["records"], found["completed"]) == (40, 40)
    assert set(attempts) == {1, 3}
    assert 1 <= attempts.count(3) <= 4 + 10


@pytest.mark.parametrize(
    ("checkpoint", "items", "left"),
    [
        pytest.param(Checkpoint.BATCH_ACCEPTING, 10_001, [], marks=LONG),
        pytest.param(Checkpoint.BATCH_ACCEPTED, 3, ["completed"], marks=LONG),
    ],
)
async def test_a_crash_in_an_acceptance_leaves_all_or_nothing(
    quick: dict[str, str], checkpoint: Checkpoint, items: int, left: list[str]
) -> None:
    """The batch is there with every item, and runs; or there is none."""
    async with CountingModel() as model, a_fleet(quick, model) as fleet:
        client = await fleet.serve()
        await fleet.add()
        dying = await fleet.add(serves=True, DSPATCH_CRASH_AT=f"{checkpoint}:1")
        async with httpx.AsyncClient(base_url=dying.base_url, timeout=60) as other:
            with pytest.raises(httpx.HTTPError):
                await a_batch(other, items)
        assert await dying.process.wait() == -signal.SIGKILL
        batches = (await client.get("/v1/batches")).json()["items"]
        statuses = [(await until_ended(client, one))["status"] for one in batches]
    assert statuses == left


@pytest.mark.long
async def test_a_worker_that_was_frozen_writes_nothing(
    quick: dict[str, str], database_url: str
) -> None:
    """It wakes with answers for items that another has run, and claims no more of them."""
    gate = asyncio.Event()

    async def answer(question: str) -> str:
        await gate.wait()
        return question

    async with CountingModel(answer) as model, a_fleet(quick, model) as fleet:
        client = await fleet.serve()
        frozen = await fleet.add()
        batch = await a_batch(client, 20, max_concurrency=4)
        await wait_until(lambda: model.in_flight == 4, 60)
        frozen.process.send_signal(signal.SIGSTOP)
        await fleet.add()
        await wait_until(lambda: model.in_flight == 5, 60)  # a suspect, alone
        gate.set()
        before = await until_ended(client, batch)
        frozen.process.send_signal(signal.SIGCONT)
        await wait_until(lambda: "was given up" in frozen.output, 60)
        after_waking = await read(client, batch)
        found = await audited(database_url, batch["batch_id"])
    assert (before["status"], before["successful_items"]) == ("completed", 20)
    assert after_waking == before
    assert (found["records"], found["completed"]) == (20, 20)
    assert model.extra == 4
    lost = [one for one in model.asked.values() if one > 1]
    assert lost == [2] * 4


@pytest.mark.long
async def test_no_more_are_in_flight_than_may_be_while_workers_are_replaced(
    quick: dict[str, str],
) -> None:
    """Over four workers, of which two are killed: the model never sees more."""
    async with (
        CountingModel(after(lambda _: 0.2)) as model,
        a_fleet(quick, model) as fleet,
    ):
        client = await fleet.serve()
        await asyncio.gather(*(fleet.add() for _ in range(4)))
        batch = await a_batch(client, 900, max_concurrency=60, batch_size=20)
        for done in (150, 400):
            await until_done(client, batch, done)
            await fleet.kill(fleet.workers[0])
            await fleet.add()
        ended = await until_ended(client, batch)
    assert (ended["status"], ended["successful_items"]) == ("completed", 900)
    assert 30 < model.most_in_flight <= 60


@pytest.mark.long
async def test_no_slot_idles_while_there_is_work(quick: dict[str, str]) -> None:
    """With 10 ms for most and 2 s for some, a batch takes 1.1 times the ideal schedule at most."""
    answers = 600
    slow = {f"-{number}" for number in range(0, answers, answers // 10)}

    def seconds(question: str) -> float:
        return 2.0 if question[question.rindex("-") :] in slow else 0.01

    async with CountingModel(after(seconds)) as model, a_fleet(quick, model) as fleet:
        client = await fleet.serve()
        await fleet.add()
        await until_ended(client, await a_batch(client, 50, max_concurrency=5))  # warm
        batch = await a_batch(client, answers, max_concurrency=5)
        ended = await until_ended(client, batch)
    ideal_ms = (len(slow) * 2.0 + (answers - len(slow)) * 0.01) / 5 * 1_000
    assert ended["total_duration_ms"] <= 1.1 * ideal_ms


@pytest.mark.parametrize(
    ("items", "within_s"),
    [pytest.param(5_000, 5.0, marks=LONG), pytest.param(200_000, 2.0, marks=LONG)],
)
async def test_a_small_batch_begins_beside_a_large_one(
    quick: dict[str, str], items: int, within_s: float
) -> None:
    """Its first item begins at once, although the large one could use every place there is."""
    begun: list[float] = []

    async def answer(question: str) -> str:
        if question.startswith("of_10_"):
            begun.append(monotonic())
        else:
            await asyncio.sleep(0.5)
        return question

    async with CountingModel(answer) as model, a_fleet(quick, model) as fleet:
        client = await fleet.serve()
        await fleet.add(DSPATCH_WORKER__LANES="3")
        large = await a_batch(client, items, max_concurrency=500)
        await wait_until(lambda: model.in_flight >= 50, 60)
        asked = monotonic()
        small = await a_batch(client, 10)
        ended = await until_ended(client, small)
        assert (await read(client, large))["status"] == "running"
        assert (await client.post(f"/v1/batches/{large['batch_id']}/cancel")).status_code == 202
    assert ended["successful_items"] == 10
    assert begun[0] - asked < within_s


@pytest.mark.long
async def test_an_item_that_kills_whoever_runs_it_ends_alone(quick: dict[str, str]) -> None:
    """After three deaths with nothing else to blame; its neighbours are unharmed."""
    killing: list[int] = []

    async def answer(question: str) -> str:
        if question.endswith("-7"):
            killing.append(1)
            await asyncio.sleep(60)
        return question

    async with CountingModel(answer) as model, a_fleet(quick, model) as fleet:
        client = await fleet.serve()
        batch = await a_batch(client, 15, max_concurrency=5)
        for deaths in range(1, 5):
            worker = await fleet.add()
            await wait_until(lambda: len(killing) == deaths, 60)  # noqa: B023 - awaited here
            if deaths == 1:
                await until_done(client, batch, 10)
            await fleet.kill(worker)
        await fleet.add()
        ended = await until_ended(client, batch)
    assert (ended["status"], ended["successful_items"], ended["failed_items"]) == (
        "completed",
        14,
        1,
    )
    (failure,) = ended["failures"]
    assert (failure["index"], failure["error"]["type"]) == (7, "worker_crashed")
    assert len(killing) == 4
