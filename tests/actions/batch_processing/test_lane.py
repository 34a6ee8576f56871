"""A lane runs its share of a batch, and leaves it as it must be whatever happens on the way."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from app.adapters.base import ProgramCall, ProgramResult
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.usage import Usage
from app.database import Database
from app.models.ids import item_id
from app.models.states import BatchStatus, ProgramStatus
from tests.stores.test_batches import counts
from tests.support.batches import (
    AnsweringAdapter,
    Peer,
    a_stored_batch,
    echo,
    items_of,
    reading,
)
from tests.support.factories import a_program, reloaded
from tests.support.wait import wait_until


async def a_peer(
    database: Database, adapter: AnsweringAdapter | None = None, **options: Any
) -> Peer:
    """Enter a process."""
    return await Peer(database, adapter or AnsweringAdapter(), **options).enter()


async def test_a_batch_runs_to_its_end(database: Database) -> None:
    """Every item once, its answer in its record, the counts and figures in the batch's."""
    program, adapter = (
        await a_program(database),
        AnsweringAdapter(lambda call: _spends(call, Usage(3, 2, 5, 1))),
    )
    batch_id = await a_stored_batch(database, program, 25, batch_size=4)
    peer = await a_peer(database, adapter)
    await peer.work()
    read = await reading(database, batch_id)
    items = await items_of(database, batch_id)
    assert (read.batch.status, counts(read)) == ("completed", [0, 0, 25, 0, 0])
    assert sorted(adapter.asked, key=int) == [str(number) for number in range(25)]
    assert [item.outputs for item in items] == [{"answer": str(n)} for n in range(25)]
    assert {(item.status, item.outcome) for item in items} == {("completed", "success")}
    assert all(len(item.attempts) == 1 for item in items)
    assert (read.tally.total_tokens, read.tally.lm_calls, read.tally.retries) == (125, 25, 0)
    assert read.tally.duration_ms == pytest.approx(sum(item.duration_ms or 0 for item in items))
    assert read.batch.percentiles is not None
    assert read.batch.percentiles["p50"] > 0
    assert read.batch.started_at is not None
    assert read.batch.finished_at is not None
    assert (await reloaded(database, program)).execution_count == 25
    assert await peer.run() is None


async def _spends(call: ProgramCall, usage: Usage) -> ProgramResult:
    return ProgramResult({"answer": call.inputs["question"]}, "scripted", usage=usage)


async def test_slots_are_full_and_never_more(database: Database) -> None:
    """As many items are in flight as may be, over all lanes and processes together."""
    gate, up = asyncio.Event(), Counter[str]()

    async def wait(call: ProgramCall) -> ProgramResult:
        up["now"] += 1
        up["most"] = max(up["most"], up["now"])
        await gate.wait()
        up["now"] -= 1
        return await echo(call)

    program = await a_program(database)
    batch_id = await a_stored_batch(database, program, 300, max_concurrency=120, batch_size=50)
    peers = [await a_peer(database, AnsweringAdapter(wait)) for _ in range(2)]
    first, *rest = [await peers[0].run(), await peers[1].run(), await peers[0].run()]
    assert first
    assert all(rest)
    await wait_until(lambda: up["now"] == 120)
    gate.set()
    await asyncio.gather(first, *(task for task in rest if task))
    assert up["most"] == 120
    assert counts(await reading(database, batch_id)) == [0, 0, 300, 0, 0]


async def test_no_item_waits_for_another(database: Database) -> None:
    """While one takes long, the other slot runs all the rest."""
    adapter = AnsweringAdapter(lambda call: _after_all(call, adapter))
    program = await a_program(database)
    batch_id = await a_stored_batch(database, program, 30, max_concurrency=2, batch_size=3)
    await (await a_peer(database, adapter)).work()
    assert (await reading(database, batch_id)).batch.status == "completed"


async def _after_all(call: ProgramCall, adapter: AnsweringAdapter) -> ProgramResult:
    """Answer the first question when every other was asked."""
    if call.inputs["question"] == "0":
        await wait_until(lambda: len(adapter.calls) == 30)
    return await echo(call)


async def test_each_item_has_its_own_attempts(database: Database) -> None:
    """Retries are counted and recorded; what does not succeed in time ends so."""

    async def fail(call: ProgramCall) -> ProgramResult:
        question = call.inputs["question"]
        if question == "1" and call.attempt == 1:
            raise AdapterError(ErrorType.OVERLOADED, "busy")
        if question == "2":
            await asyncio.Future()
        return await echo(call)

    program = await a_program(database)
    options = {"timeout_per_item": 50, "max_retries": 1, "retry_delay": 0}
    batch_id = await a_stored_batch(database, program, 4, **options)
    await (await a_peer(database, AnsweringAdapter(fail))).work()
    read, items = await reading(database, batch_id), await items_of(database, batch_id)
    assert (read.batch.status, counts(read)) == ("completed", [0, 0, 3, 1, 0])
    assert [len(item.attempts) for item in items] == [1, 2, 2, 1]
    assert [item.outcome for item in items] == ["success", "success", "timeout", "success"]
    assert read.tally.retries == 2


async def test_what_is_a_bug_ends_its_item_alone(database: Database) -> None:
    """An answer that cannot be stored too; the others of its group are recorded as they ended."""

    async def break_down(call: ProgramCall) -> ProgramResult:
        if call.inputs["question"] == "1":
            return ProgramResult({"answer": "a"}, "scripted", details={"odd": object()})
        if call.inputs["question"] == "2":
            return None  # type: ignore[return-value] # against the protocol
        return await echo(call)

    program = await a_program(database)
    batch_id = await a_stored_batch(database, program, 4)
    await (await a_peer(database, AnsweringAdapter(break_down))).work()
    items = await items_of(database, batch_id)
    assert [item.outcome for item in items] == ["success", "exception", "exception", "success"]
    assert (items[1].error or {})["message"] == "The adapter's answer cannot be stored."
    assert (items[2].error or {})["message"] == "Dspatch failed in the middle of the execution."
    assert counts(await reading(database, batch_id)) == [0, 0, 2, 2, 0]


async def test_a_batch_stops_at_the_first_failure_where_it_shall(database: Database) -> None:
    """What runs ends, the rest never runs, and the batch says which item it was."""

    async def fail(call: ProgramCall) -> ProgramResult:
        if call.inputs["question"] == "3":
            raise AdapterError(ErrorType.INVALID_REQUEST, "no")
        return await echo(call)

    program, adapter = await a_program(database), AnsweringAdapter(fail)
    options = {"continue_on_error": False, "max_concurrency": 1}
    batch_id = await a_stored_batch(database, program, 30, **options)
    await (await a_peer(database, adapter)).work()
    read, items = await reading(database, batch_id), await items_of(database, batch_id)
    assert read.batch.status == "failed"
    assert (read.batch.error or {})["type"] == "invalid_request"
    assert (read.batch.error or {})["message"] == "Item 3 failed: no"
    assert (read.batch.error or {})["context"] == {"index": 3}
    assert adapter.asked == ["0", "1", "2", "3"]
    assert counts(read) == [0, 0, 3, 1, 26]
    assert {item.status for item in items[4:]} == {"cancelled"}
    assert (items[-1].error or {})["message"] == "The batch stopped before the item ran."


async def test_a_paused_batch_ends_what_runs_and_goes_on_when_resumed(database: Database) -> None:
    """No item begins after the pause; the lane is given back and called again."""
    gate = asyncio.Event()

    async def wait(call: ProgramCall) -> ProgramResult:
        await gate.wait()
        return await echo(call)

    program, adapter = await a_program(database), AnsweringAdapter(wait)
    batch_id = await a_stored_batch(database, program, 20, max_concurrency=2)
    peer = await a_peer(database, adapter)
    running = await peer.run()
    assert running
    await wait_until(lambda: adapter.in_flight == 2)
    async with database.transaction() as tx:
        assert await tx.batches.pause(batch_id)
        claimed = (await tx.batches.get(batch_id)).running_items
    gate.set()
    await running
    read = await reading(database, batch_id)
    assert (read.batch.status, counts(read)) == ("paused", [20 - claimed, 0, claimed, 0, 0])
    assert await peer.run() is None
    async with database.transaction() as tx:
        assert await tx.batches.resume(batch_id)
    await peer.work()
    assert counts(await reading(database, batch_id)) == [0, 0, 20, 0, 0]
    assert len(adapter.calls) == 20


async def test_a_cancelled_batch_aborts_what_runs(database: Database) -> None:
    """Its calls are stopped, the rest ends as cancelled, what had ended stays."""
    stopped = Counter[str]()

    async def think(call: ProgramCall) -> ProgramResult:
        if call.inputs["question"] == "0":
            return await echo(call)
        try:
            await asyncio.Future()
        finally:
            stopped["calls"] += 1
        raise AssertionError

    program, adapter = await a_program(database), AnsweringAdapter(think)
    batch_id = await a_stored_batch(database, program, 30, max_concurrency=3)
    running = await (await a_peer(database, adapter)).run()
    assert running
    await wait_until(lambda: adapter.in_flight == 3)
    async with database.transaction() as tx:
        assert await tx.batches.stop(batch_id, BatchStatus.CANCELLED)
    await running
    read, items = await reading(database, batch_id), await items_of(database, batch_id)
    assert (read.batch.status, counts(read)) == ("cancelled", [0, 0, 1, 0, 29])
    assert stopped["calls"] == 3
    assert items[0].status == "completed"
    assert {(item.status, item.outcome) for item in items[1:]} == {("cancelled", "cancelled")}
    assert (items[2].error or {})["message"] == "The batch was cancelled."


async def test_a_batch_that_nobody_runs_is_cancelled_by_who_takes_a_lane(
    database: Database,
) -> None:
    """Also before it has begun and while it is paused."""
    program = await a_program(database)
    peer = await a_peer(database)
    for paused in (False, True):
        batch_id = await a_stored_batch(database, program, 5)
        async with database.transaction() as tx:
            if paused:
                await tx.batches.pause(batch_id)
            await tx.batches.stop(batch_id, BatchStatus.CANCELLED)
        await peer.work()
        read = await reading(database, batch_id)
        assert (read.batch.status, counts(read)) == ("cancelled", [0, 0, 0, 0, 5])


async def test_a_batch_whose_program_is_archived_fails(database: Database) -> None:
    """What runs ends; the batch says why the rest never ran."""
    program = await a_program(database)
    batch_id = await a_stored_batch(database, program, 6, max_concurrency=1)

    async def archive(call: ProgramCall) -> ProgramResult:
        async with database.transaction() as tx:
            await tx.programs.mark(program.id, ProgramStatus.ARCHIVED)
        peer.tools.catalogue.forget_all()
        return await echo(call)

    peer = await a_peer(database, AnsweringAdapter(archive))
    await peer.work()
    read = await reading(database, batch_id)
    assert read.batch.status == "failed"
    assert (read.batch.error or {})["message"] == "The program answerer is archived."
    assert read.successful_items >= 1
    assert counts(read)[4] == 6 - read.successful_items


async def test_a_batch_runs_on_the_revision_that_it_was_accepted_on(database: Database) -> None:
    """What becomes of the program meanwhile, a change or an error, is not the batch's."""
    program = await a_program(database)
    batch_id = await a_stored_batch(database, program, 3)
    async with database.transaction() as tx:
        held = await tx.programs.hold(program.id)
        revision = await tx.programs.add_revision(held, {"config": {"lm": "other"}})
        await tx.programs.change(
            program.id, {"revision": revision.revision, "config": {"lm": "other"}}
        )
        await tx.programs.mark(program.id, ProgramStatus.INITIALIZING)
        await tx.programs.mark(program.id, ProgramStatus.ERROR, error="no")
    adapter = AnsweringAdapter()
    await (await a_peer(database, adapter)).work()
    assert (await reading(database, batch_id)).batch.status == "completed"
    assert {call.program.revision for call in adapter.calls} == {1}
    assert {call.program.config.get("lm") for call in adapter.calls} == {None}


async def test_a_batch_without_its_adapter_fails(database: Database) -> None:
    """It says which; nothing is called."""
    program = await a_program(database)
    batch_id = await a_stored_batch(database, program, 3)
    adapter = AnsweringAdapter(name="other")
    await (await a_peer(database, adapter)).work()
    read = await reading(database, batch_id)
    assert (read.batch.status, counts(read)) == ("failed", [0, 0, 0, 0, 3])
    assert (read.batch.error or {})["message"] == "There is no adapter 'scripted' any more."


@pytest.mark.parametrize("is_told", [True, False])
async def test_an_item_that_is_cancelled_is_called_off_alone(
    database: Database,
    is_told: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Its call stops, or its answer comes to nothing where the lane has not heard of it.

    Its record stays as it was ended, which is counted once; the others run on.
    """
    gate = asyncio.Event()

    async def wait(call: ProgramCall) -> ProgramResult:
        await gate.wait()
        return await echo(call)

    program, adapter = await a_program(database), AnsweringAdapter(wait)
    batch_id = await a_stored_batch(database, program, 3, max_concurrency=3)
    peer = await a_peer(database, adapter)
    running = await peer.run()
    assert running
    await wait_until(lambda: adapter.in_flight == 3)
    one = item_id(batch_id, 1)
    async with database.transaction() as tx:
        await tx.batches.hold(batch_id)
        await tx.executions.cancel(one, {"status": "cancelled", "outcome": "cancelled"})
        await tx.batches.count_cancelled(batch_id, was_pending=False)
    if is_told:
        peer.runs.call_off([one])
        await wait_until(lambda: adapter.in_flight == 2)
    gate.set()
    await running
    read = await reading(database, batch_id)
    assert (read.batch.status, counts(read)) == ("completed", [0, 0, 2, 0, 1])
    assert [item.status for item in await items_of(database, batch_id)] == [
        "completed",
        "cancelled",
        "completed",
    ]
    assert b'dspatch_batch_items_total{outcome="success"} 2.0' in peer.metrics.page("")[0]


async def test_a_lane_makes_room_for_others(database: Database) -> None:
    """It ends what it runs, claims no more, and waits to be taken again."""
    asked = Counter[str]()

    async def leave() -> bool:
        asked["leave"] += 1
        return asked["leave"] > 2

    program, adapter = await a_program(database), AnsweringAdapter()
    batch_id = await a_stored_batch(database, program, 40, max_concurrency=4, batch_size=5)
    peer = await a_peer(database, adapter)
    running = await peer.run(leave)
    assert running
    await running
    read = await reading(database, batch_id)
    assert read.batch.status == "running"
    assert read.running_items == 0
    assert 0 < read.successful_items == len(adapter.calls) <= 10
    await peer.work()
    assert counts(await reading(database, batch_id)) == [0, 0, 40, 0, 0]
    assert len(adapter.calls) == 40


async def test_a_lane_that_is_stopped_is_run_on_by_the_next(database: Database) -> None:
    """What had ended is recorded, what ran is run again, and nobody is suspected."""

    async def think(call: ProgramCall) -> ProgramResult:
        if call.inputs["question"] in {"0", "1"}:
            return await echo(call)
        await asyncio.Future()
        raise AssertionError

    program, stuck = await a_program(database), AnsweringAdapter(think)
    batch_id = await a_stored_batch(database, program, 10, max_concurrency=3)
    peer = await a_peer(database, stuck)
    assert await peer.run()
    await wait_until(lambda: stuck.in_flight == 3)
    await peer.stop()
    read = await reading(database, batch_id)
    assert read.successful_items == 2
    assert read.running_items >= 3
    adapter = AnsweringAdapter()
    await (await a_peer(database, adapter)).work()
    assert len(adapter.calls) == 8
    assert counts(await reading(database, batch_id)) == [0, 0, 10, 0, 0]
    assert {len(item.attempts) for item in await items_of(database, batch_id)} == {1}
