"""Processes that die with a batch: nothing is lost, and who kills them is found."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import update

from app.actions.batch_processing.suspects import (
    MOST_CRASHES,
    MOST_POISONOUS,
    least_suspect_first,
)
from app.adapters.base import ProgramCall, ProgramResult
from app.database import Database
from app.models import BatchLane, Execution
from app.stores.batch_lanes import Item
from tests.stores.test_batches import counts
from tests.support.adapters import ScriptedAdapter
from tests.support.batches import (
    AnsweringAdapter,
    Peer,
    a_stored_batch,
    an_acceptance,
    echo,
    items_of,
    reading,
    wanted,
)
from tests.support.factories import a_program
from tests.support.wait import wait_until, wait_until_so

CRASHED, BLAMED = ("worker_crashed", False), ("worker_crashed", True)


async def hang(_: ProgramCall) -> ProgramResult:
    """Never answer."""
    await asyncio.Future()
    raise AssertionError


def hanging_at(*poison: str) -> AnsweringAdapter:
    """Make an adapter that answers all but these questions."""

    async def answer(call: ProgramCall) -> ProgramResult:
        return await (hang(call) if call.inputs["question"] in poison else echo(call))

    return AnsweringAdapter(answer)


async def die(
    database: Database,
    adapter: AnsweringAdapter,
    calls: int = 1,
    *,
    after: tuple[UUID, int] | None = None,
) -> Peer:
    """Enter a process, and give it up when it has taken all lanes and so many calls hang.

    `after` says how many items of a batch shall have ended before.
    """
    peer = await Peer(database, adapter).enter()
    while await peer.run():
        await wait_until(lambda: adapter.in_flight > 0)
    await wait_until(lambda: adapter.in_flight == calls)
    if after is not None:
        await until_ended(database, *after)
    await peer.give_up()
    return peer


async def until_ended(database: Database, batch_id: UUID, count: int) -> None:
    """Return when so many items of a batch have ended."""

    async def are_ended() -> bool:
        return (await reading(database, batch_id)).ended_items >= count

    await wait_until_so(are_ended)


async def live(database: Database, *dead: Peer, poison: str = "") -> AnsweringAdapter:
    """Have a process do what is left, and end those who were thought dead."""
    adapter = hanging_at(poison)
    await (await Peer(database, adapter).enter()).work_beside()
    for peer in dead:
        await peer.stop()
    return adapter


def crashes(item: Execution) -> list[tuple[str, bool]]:
    """Give the lost attempts of an item: the type of each, and whether it ran alone."""
    return [
        (attempt["error"]["type"], attempt["error"]["context"]["alone"])
        for attempt in item.attempts
        if attempt["error"]
    ]


async def test_what_a_dead_process_ran_is_run_again_one_by_one(database: Database) -> None:
    """Before all others; each record tells of the lost attempt, and nobody is blamed."""
    program = await a_program(database)
    batch_id = await a_stored_batch(database, program, 12, max_concurrency=4)
    dead = await die(database, AnsweringAdapter(hang), 4)
    adapter = await live(database, dead)
    items = await items_of(database, batch_id)
    assert counts(await reading(database, batch_id)) == [0, 0, 12, 0, 0]
    assert adapter.asked[:4] == ["0", "1", "2", "3"]
    assert len(adapter.calls) == 12
    assert [crashes(item) for item in items[:4]] == [[CRASHED]] * 4
    assert [len(item.attempts) for item in items] == [2] * 4 + [1] * 8
    (lost, _) = items[0].attempts
    assert (lost["adapter"], lost["started_at"][-1]) == ("scripted", "Z")
    assert lost["duration_ms"] > 0


def test_what_has_died_least_is_run_first() -> None:
    """Else chance would hit the first of them again and again, and blame it."""
    deaths = [2, 0, 1, 3, 1]
    left = [
        Item(UUID(int=index), index, {}, [{}] * count, datetime.now(UTC), 0.0)
        for index, count in enumerate(deaths)
    ]
    assert [item.index for item in least_suspect_first(left)] == [2, 4, 0, 3]


async def test_an_item_that_kills_is_found_and_its_neighbours_are_unharmed(
    database: Database,
) -> None:
    """After three deaths of which it alone can be the cause it fails; the batch ends."""
    program = await a_program(database)
    batch_id = await a_stored_batch(database, program, 9, max_concurrency=3)
    adapters = [hanging_at("4") for _ in range(1 + MOST_CRASHES)]
    dead = [await die(database, adapter, after=(batch_id, 8)) for adapter in adapters]
    last = await live(database, *dead, poison="4")
    read, items = await reading(database, batch_id), await items_of(database, batch_id)
    assert (read.batch.status, counts(read)) == ("completed", [0, 0, 8, 1, 0])
    assert [adapter.asked.count("4") for adapter in [*adapters, last]] == [1, 1, 1, 1, 0]
    assert crashes(items[4]) == [CRASHED, *[BLAMED] * MOST_CRASHES]
    assert (items[4].status, items[4].outcome) == ("failed", "execution_error")
    assert (items[4].error or {})["type"] == "worker_crashed"
    assert read.tally.poisonous == 1


async def test_a_batch_with_many_such_items_stops(database: Database) -> None:
    """It fails as a whole before it has killed more processes, and says why."""
    program = await a_program(database)
    batch_id = await a_stored_batch(database, program, 5, max_concurrency=1)
    async with database.transaction() as tx:
        before = update(BatchLane).values(poisonous=MOST_POISONOUS - 1)
        await tx.lanes._session.execute(before)
    adapters = [hanging_at("1") for _ in range(1 + MOST_CRASHES)]
    dead = [await die(database, adapter, after=(batch_id, 1)) for adapter in adapters]
    last = await live(database, *dead)
    read = await reading(database, batch_id)
    assert read.batch.status == "failed"
    assert (read.batch.error or {})["type"] == "worker_crashed"
    assert (read.failed_items, read.tally.poisonous) == (1, MOST_POISONOUS)
    assert read.cancelled_items >= 2
    assert len(last.calls) <= 1


@pytest.mark.parametrize("is_beside", [True, False])
async def test_only_who_ran_alone_is_to_blame(
    database: Database,
    is_beside: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """A suspect that dies beside another lane's item is not, and runs quite alone from then on."""
    program = await a_program(database)
    batch_id = await a_stored_batch(database, program, 4, max_concurrency=1)
    dead = [await die(database, hanging_at("0"))]
    if is_beside:
        await a_stored_batch(database, program, 4, max_concurrency=1)  # its lane is taken first
    dead.append(await die(database, AnsweringAdapter(hang), 1 + is_beside))
    dead.append(await die(database, AnsweringAdapter(hang)))
    await live(database, *dead)
    (suspect, *_) = await items_of(database, batch_id)
    assert crashes(suspect) == [CRASHED, CRASHED if is_beside else BLAMED, BLAMED]


async def test_a_first_suspect_runs_beside_other_batches(database: Database) -> None:
    """It does not wait for theirs to end, nor they for it."""
    gate, program = asyncio.Event(), await a_program(database)

    async def wait(call: ProgramCall) -> ProgramResult:
        if call.inputs["question"] == "beside":
            await gate.wait()
        return await echo(call)

    batch_id = await a_stored_batch(database, program, 2)
    dead = await die(database, AnsweringAdapter(hang), 2)
    accept = an_acceptance(database, ScriptedAdapter())
    beside = await accept(wanted(program, [{"question": "beside"}]))
    adapter = AnsweringAdapter(wait)
    peer = await Peer(database, adapter).enter()
    while await peer.run():
        await wait_until(lambda: adapter.in_flight > 0)
    await until_ended(database, batch_id, 2)
    assert adapter.in_flight == 1
    gate.set()
    await peer.ended()
    await dead.stop()
    assert (await reading(database, beside.id)).batch.status == "completed"
    assert [crashes(item) for item in await items_of(database, batch_id)] == [[CRASHED]] * 2


async def test_who_makes_room_ends_what_the_dead_left_before(database: Database) -> None:
    """Suspects too; of the rest nothing begins until the lane is taken again."""

    async def leave() -> bool:
        return True

    program = await a_program(database)
    batch_id = await a_stored_batch(database, program, 40, max_concurrency=2)
    dead = await die(database, AnsweringAdapter(hang), 2)
    left = (await reading(database, batch_id)).running_items
    adapter = AnsweringAdapter()
    running = await (await Peer(database, adapter).enter()).run(leave)
    assert running
    await running
    read = await reading(database, batch_id)
    assert (read.batch.status, read.running_items, read.successful_items) == ("running", 0, left)
    await live(database, dead)
    assert counts(await reading(database, batch_id)) == [0, 0, 40, 0, 0]


async def test_what_the_dead_left_fails_where_its_adapter_is_gone(database: Database) -> None:
    """With the batch, which says the same."""
    program = await a_program(database)
    batch_id = await a_stored_batch(database, program, 5, max_concurrency=1)
    dead = await die(database, hanging_at("1"), after=(batch_id, 1))
    await (await Peer(database, AnsweringAdapter(name="other")).enter()).work()
    await dead.stop()
    read, items = await reading(database, batch_id), await items_of(database, batch_id)
    reason = "There is no adapter 'scripted' any more."
    assert (read.batch.status, (read.batch.error or {})["message"]) == ("failed", reason)
    assert (items[1].status, (items[1].error or {})["message"]) == ("failed", reason)
    assert crashes(items[1])[0] == CRASHED


async def test_a_process_that_comes_back_writes_nothing(database: Database) -> None:
    """Its answers and its claims fail on the token; the records are the new holder's."""
    gate = asyncio.Event()

    async def late(_: ProgramCall) -> ProgramResult:
        await gate.wait()
        return ProgramResult({"answer": "late"}, "scripted")

    program, frozen = await a_program(database), AnsweringAdapter(late)
    batch_id = await a_stored_batch(database, program, 6, max_concurrency=2)
    zombie = await die(database, frozen, 2)
    await live(database)
    before = await items_of(database, batch_id)
    gate.set()
    await zombie.ended()
    after = await items_of(database, batch_id)
    assert counts(await reading(database, batch_id)) == [0, 0, 6, 0, 0]
    assert {(item.outputs or {})["answer"] for item in after} == {str(n) for n in range(6)}
    assert [item.finished_at for item in after] == [item.finished_at for item in before]
    assert len(frozen.calls) == 2


async def test_a_process_that_was_given_up_claims_nothing(database: Database) -> None:
    """Although nobody has taken its lane yet: it goes on under another id."""
    gate = asyncio.Event()

    async def wait(call: ProgramCall) -> ProgramResult:
        await gate.wait()
        return await echo(call)

    program, adapter = await a_program(database), AnsweringAdapter(wait)
    batch_id = await a_stored_batch(database, program, 6, max_concurrency=2)
    peer = await Peer(database, adapter).enter()
    running = await peer.run()
    assert running
    await wait_until(lambda: adapter.in_flight == 2)
    peer.id = UUID(int=peer.id.int ^ 1)
    gate.set()
    await running
    assert len(adapter.calls) == 2
    assert (await reading(database, batch_id)).batch.status == "running"
