"""The dispatcher of lanes: how many run here, of which batches, and what becomes of them."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from typing_extensions import override

from app.adapters.base import ProgramCall, ProgramResult
from app.checkpoints import Checkpoint
from app.database import Database
from app.errors import DatabaseUnavailableError
from app.jobs.lane_dispatcher import LaneDispatcher
from app.jobs.retry import GivenBackError
from app.models.batches import QUEUE
from app.policies.clock import SystemClock
from app.settings import Settings
from tests.stores.rows import a_batch, a_process
from tests.stores.test_batches import counts
from tests.support.batches import AnsweringAdapter, Peer, a_stored_batch, echo, reading
from tests.support.factories import a_program
from tests.support.holds import until_held_up
from tests.support.outage import a_leaving_database
from tests.support.wait import wait_until, wait_until_so


class QuickClock(SystemClock):
    """A clock on which every look is seven seconds later, and long pauses take no time."""

    def __init__(self) -> None:
        self._looks = itertools.count()

    @override
    def monotonic(self) -> float:
        return next(self._looks) * 7.0

    @override
    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.01))


class Place:
    """A process with a dispatcher, whose calls end when the gate is open."""

    def __init__(self, database: Database, most: int, **options: Any) -> None:
        self.gate = asyncio.Event()
        self.adapter = AnsweringAdapter(self._answer)
        self.peer = Peer(database, self.adapter, **options)
        self.dispatch = LaneDispatcher(self.peer.tools, most)

    async def _answer(self, call: ProgramCall) -> ProgramResult:
        await self.gate.wait()
        return await echo(call)

    def batches(self) -> list[UUID]:
        """Give the batches whose lanes run here."""
        return sorted(batch_id for batch_id, _ in self.dispatch._stints)


@asynccontextmanager
async def a_place(database: Database, most: int = 3, **options: Any) -> AsyncIterator[Place]:
    """Open a process with so many places for lanes, and close it."""
    place = Place(database, most, **options)
    await place.peer.enter()
    yield place
    place.gate.set()
    await place.dispatch.close()
    assert place.dispatch.is_idle


async def a_large_batch(database: Database, lanes: int) -> UUID:
    """Store a batch of so many lanes."""
    program = await a_program(database, name=f"of {lanes} lanes")
    return await a_stored_batch(database, program, 100 * lanes, max_concurrency=50 * lanes)


async def a_small_batch(database: Database) -> UUID:
    """Store a batch of one lane."""
    return await a_stored_batch(database, await a_program(database, name="small"), 3)


async def tokens(database: Database, batch_id: UUID) -> int:
    """Tell how often the first lane of a batch was taken."""
    query = text("SELECT token FROM batch_lanes WHERE batch_id = :id AND number = 0")
    async with database.transaction() as tx:
        return int((await tx.lanes._session.scalars(query, {"id": batch_id})).one())


async def test_lanes_run_until_none_waits(database: Database) -> None:
    """The job ends when all are taken; they outlive it."""
    async with a_place(database) as place:
        batch_id = await a_small_batch(database)
        await place.dispatch()
        assert place.batches() == [batch_id]
        idle = asyncio.create_task(place.dispatch.until_idle())
        await wait_until(lambda: place.adapter.in_flight == 3)
        assert not place.dispatch.is_idle
        assert not idle.done()
        place.gate.set()
        await idle
        assert place.dispatch.is_idle
    assert counts(await reading(database, batch_id)) == [0, 0, 3, 0, 0]


async def test_a_place_is_kept_for_who_has_none(database: Database) -> None:
    """However many lanes of a large batch wait: a small one begins beside it at once."""
    async with a_place(database) as place:
        large = await a_large_batch(database, 5)
        job = asyncio.create_task(place.dispatch())
        await wait_until(lambda: place.batches() == [large] * 2)
        small = await a_small_batch(database)
        await wait_until(lambda: place.batches() == sorted([large, large, small]))
        job.cancel()


async def test_one_place_is_nobodys_own(database: Database) -> None:
    """A process with a single place gives it to whoever waits."""
    async with a_place(database, most=1) as place:
        large = await a_large_batch(database, 2)
        job = asyncio.create_task(place.dispatch())
        await wait_until(lambda: place.batches() == [large])
        place.gate.set()
        await job
        await wait_until(lambda: place.dispatch.is_idle)
    assert (await reading(database, large)).batch.status == "completed"


async def test_who_has_several_makes_room_for_who_has_none(database: Database) -> None:
    """Also where the place that was kept is taken: a lane of the largest ends its stint."""
    async with a_place(database) as place:
        large = await a_large_batch(database, 5)
        job = asyncio.create_task(place.dispatch())
        await wait_until(lambda: place.batches() == [large] * 2)
        first = await a_small_batch(database)
        await wait_until(lambda: place.batches() == sorted([large, large, first]))
        program = await a_program(database, name="another")
        second = await a_stored_batch(database, program, 3)
        await wait_until(lambda: any(stint.is_over for stint in place.dispatch._stints.values()))
        place.dispatch._make_room()  # as it does at each look, until the lane has left
        assert sum(stint.is_over for stint in place.dispatch._stints.values()) == 1
        place.gate.set()

        async def is_done() -> bool:
            return (await reading(database, second)).batch.finished_at is not None

        await wait_until_so(is_done)
        await job
        await wait_until(lambda: place.dispatch.is_idle)
    assert (await reading(database, large)).batch.status == "completed"


async def test_others_are_called_for_what_there_is_no_place_for(database: Database) -> None:
    """Once: a job waits for another process, which takes what is left."""
    async with a_place(database, most=1) as place, a_place(database) as other:
        await a_large_batch(database, 3)
        async with database.transaction() as tx:
            await tx.executions._session.execute(text("DELETE FROM procrastinate_jobs"))
        job = asyncio.create_task(place.dispatch())

        async def is_called() -> bool:
            async with database.transaction() as tx:
                return (await tx.jobs.count_waiting()).get(QUEUE) == 1

        await wait_until_so(is_called)
        second = asyncio.create_task(other.dispatch())
        await wait_until(lambda: len(other.batches()) == 2)
        await asyncio.wait({job, second}, timeout=5)
        assert job.done()
        assert second.done()


async def test_a_stint_ends_where_others_wait(database: Database) -> None:
    """After its time; with nobody waiting it begins anew."""
    async with a_place(database, most=1, clock=QuickClock()) as place:
        place.gate.set()
        first = await a_small_batch(database)
        second = await a_stored_batch(database, await a_program(database, name="b"), 30)
        await place.dispatch()
        await wait_until(lambda: place.dispatch.is_idle)
    for batch_id in (first, second):
        assert (await reading(database, batch_id)).batch.status == "completed"
        assert await tokens(database, batch_id) > 1


async def test_a_dispatcher_that_is_stopped_takes_no_more(database: Database) -> None:
    """Its job is given back, its lanes end what they have begun, and others go on."""
    async with a_place(database, most=1) as place:
        batch_id = await a_large_batch(database, 2)
        job = asyncio.create_task(place.dispatch())
        await wait_until(lambda: place.adapter.in_flight == 50)
        place.dispatch.stop()
        with pytest.raises(GivenBackError):
            await job
        place.gate.set()
        await wait_until(lambda: place.dispatch.is_idle)
        read = await reading(database, batch_id)
        assert read.running_items == 0
        assert 0 < read.successful_items < 200
    async with a_place(database) as other:
        other.gate.set()
        await other.dispatch()
        await wait_until(lambda: other.dispatch.is_idle)
    assert counts(await reading(database, batch_id)) == [0, 0, 200, 0, 0]


async def test_what_runs_when_it_is_closed_is_run_by_others(database: Database) -> None:
    """At once, without suspicion."""
    async with a_place(database) as place:
        batch_id = await a_small_batch(database)
        await place.dispatch()
        await wait_until(lambda: place.adapter.in_flight == 3)
        await place.dispatch.close()
    async with a_place(database) as other:
        other.gate.set()
        await other.dispatch()
        await wait_until(lambda: other.dispatch.is_idle)
    assert counts(await reading(database, batch_id)) == [0, 0, 3, 0, 0]


async def test_a_lane_whose_taking_was_not_answered_is_run_all_the_same(
    database: Database,
) -> None:
    """What this process holds and does not run is looked for."""
    lost = [Checkpoint.TAKEN]

    def reached(checkpoint: Checkpoint) -> None:
        if checkpoint in lost:
            lost.remove(checkpoint)
            raise DatabaseUnavailableError("no answer")

    async with a_place(database, reached=reached) as place:
        place.gate.set()
        batch_id = await a_small_batch(database)
        with pytest.raises(DatabaseUnavailableError):
            await place.dispatch()
        await wait_until(lambda: len(place.adapter.calls) == 3 and place.dispatch.is_idle)
    assert counts(await reading(database, batch_id)) == [0, 0, 3, 0, 0]


async def test_a_lane_that_another_took_meanwhile_is_left_to_it(
    settings: Settings, database: Database
) -> None:
    """Where this process is given up, before it finds what it had taken without hearing of it."""
    async with a_leaving_database(settings) as leaving:

        def reached(checkpoint: Checkpoint) -> None:
            if checkpoint is Checkpoint.TAKEN:
                leaving.is_away = True
                raise DatabaseUnavailableError("no answer")

        async with a_place(leaving, reached=reached, clock=QuickClock()) as place:
            batch_id = await a_small_batch(database)
            with pytest.raises(DatabaseUnavailableError):
                await place.dispatch()
            async with database.transaction() as tx:
                await tx.processes.end(place.peer.id)
            async with database.transaction() as tx:
                assert await tx.waiting_lanes.take(batch_id, 0, await a_process(tx))
                leaving.is_away = False
                await until_held_up(database)
            await place.dispatch.until_idle()
            assert place.adapter.calls == []
    assert await tokens(database, batch_id) == 2


async def test_a_lane_that_fails_as_nothing_should_is_tried_again(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """After a pause, by whoever takes it then; the bug is logged."""
    async with database.transaction() as tx:
        batch_id = await a_batch(tx)  # of a program that is not there
    async with a_place(database, most=1, clock=QuickClock()) as place:
        for times in (1, 2):
            await place.dispatch()
            await wait_until(lambda: place.dispatch.is_idle)
            assert caplog.text.count(f"lane 0 of batch {batch_id} failed") == times
