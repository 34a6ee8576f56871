"""Batches over several processes that are killed, frozen and replaced while items run."""

import asyncio
import signal

import httpx
import pytest

from app.checkpoints import Checkpoint
from tests.support.counting_model import CountingModel
from tests.support.fleet import a_batch, a_fleet, after, audited, read, until_done, until_ended
from tests.support.wait import wait_until

pytestmark = pytest.mark.timeout(180)  # several starts, which a busy machine stretches
LONG = (pytest.mark.long, pytest.mark.timeout(3_600))
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
