import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.database import Database
from app.models.batches import QUEUE
from app.models.states import BatchStatus
from app.stores.batch_lanes import HeldLane
from app.stores.waiting_lanes import WaitingLaneStore
from tests.stores.rows import (
    IDS,
    a_batch,
    a_lane,
    a_process,
    a_running_batch,
    an_execution,
    item_ending,
)
from tests.stores.test_batch_lanes import LOST, claimed, places, retaken
from tests.stores.test_batches import counts


async def test_a_lane_is_taken_from_nobody_who_lives(database: Database) -> None:
    """From one who has given it back, has ended, or is not known any more; from oneself always."""
    async with database.transaction() as tx:
        batch_id = await a_running_batch(tx)
        lane = await a_lane(tx, batch_id)
        other = await a_process(tx)
        assert await tx.waiting_lanes.take(batch_id, 0, other) is None
        assert await tx.waiting_lanes.take(batch_id, 9, other) is None
        again = await tx.waiting_lanes.take(batch_id, 0, lane.owner_id)
        assert again is not None
        assert (again.lane.token, again.has_crashed) == (lane.token + 1, False)
        assert not await tx.lanes.release(lane, waits=False)
        assert await tx.lanes.release(again.lane, waits=False)
        given = await tx.waiting_lanes.take(batch_id, 0, other)
        assert given is not None
        assert not given.has_crashed
        await tx.processes.end(other)
        left = await tx.waiting_lanes.take(batch_id, 0, IDS.new())
        assert left is not None
        assert left.has_crashed
        unknown = await tx.waiting_lanes.take(batch_id, 0, other)
        assert unknown is not None
        assert unknown.has_crashed


async def test_of_many_who_take_a_lane_at_once_one_gets_it(database: Database) -> None:
    """The others find that it is held."""
    async with database.transaction() as tx:
        batch_id = await a_running_batch(tx)
        owners = [await a_process(tx) for _ in range(8)]

    async def take(owner_id: UUID) -> bool:
        async with database.transaction() as tx:
            return await tx.waiting_lanes.take(batch_id, 0, owner_id) is not None

    assert sum(await asyncio.gather(*map(take, owners))) == 1


async def test_what_a_lane_left_running_is_taken_back(database: Database) -> None:
    """Its items and no others, in order, with the attempts that they had; they stay running."""
    async with database.transaction() as tx:
        batch_id = await a_running_batch(tx, 6, shares=(2, 2))
        lane, beside = await a_lane(tx, batch_id), await a_lane(tx, batch_id, 1)
        items = await claimed(tx, lane, 3)
        await claimed(tx, beside, 2)
        await an_execution(tx, owner_id=lane.owner_id)
        await tx.lanes.finish(lane, [item_ending(items[1])])
        await tx.lanes.set_alone(lane, 2)
        await tx.processes.end(lane.owner_id)
        taken = await tx.waiting_lanes.take(batch_id, 0, await a_process(tx))
        assert taken is not None
        assert (taken.has_crashed, taken.alone, places(taken.left)) == (True, 2, [0, 2])
        assert [item.attempts for item in taken.left] == [[], []]
        assert await tx.lanes.list_running(taken.lane) == taken.left
        assert counts(await tx.batches.get(batch_id)) == [1, 4, 1, 0, 0]
        lost = replace(items[0], attempts=[LOST])
        await tx.lanes.note_attempts(taken.lane, [lost])
        again = await retaken(tx, taken.lane)
        assert again.token == lane.token + 2
        taken_again = await tx.waiting_lanes.take(batch_id, 0, again.owner_id)
        assert taken_again is not None
        assert taken_again.alone is None
        assert [list(item.attempts) for item in taken_again.left] == [[LOST], []]


async def test_a_lane_that_was_given_back_is_no_crash(database: Database) -> None:
    """What it left running is taken back all the same."""
    async with database.transaction() as tx:
        batch_id = await a_running_batch(tx)
        lane = await a_lane(tx, batch_id)
        await claimed(tx, lane, 2)
        assert await tx.lanes.release(lane, waits=False)
        taken = await tx.waiting_lanes.take(batch_id, 0, await a_process(tx))
    assert taken is not None
    assert (taken.has_crashed, places(taken.left)) == (False, [0, 1])


async def test_the_next_lane_is_of_the_batch_with_the_fewest(database: Database) -> None:
    """The one that has waited longest first; where one is kept free, of a batch without any."""
    async with database.transaction() as tx:
        large = await a_running_batch(tx, shares=(1, 1, 1))
    async with database.transaction() as tx:
        small = await a_batch(tx, shares=(1, 1))
    taken: list[tuple[UUID, int]] = []

    async def take(*, is_first: bool = False) -> tuple[UUID, int] | None:
        async with database.transaction() as tx:
            found = await tx.waiting_lanes.take_next(await a_process(tx), is_first=is_first)
        return None if found is None else (found.lane.batch_id, found.lane.number)

    async with database.transaction() as tx:
        assert await tx.waiting_lanes.count_waiting() == 5
    assert await take() == (large, 0)
    assert await take(is_first=True) == (small, 0)
    assert await take(is_first=True) is None
    taken = [lane for _ in range(3) if (lane := await take())]
    assert taken == [(large, 1), (small, 1), (large, 2)]
    assert await take() is None
    async with database.transaction() as tx:
        assert await tx.waiting_lanes.count_waiting() == 0


async def test_lanes_are_for_all_workers(database: Database) -> None:
    """Each takes its part of a batch; what nobody has taken for a while is for who has a place."""
    async with database.transaction() as tx:
        batch_id = await a_running_batch(tx, total=5, shares=(1, 1, 1, 1, 1))
        owners = [await a_process(tx) for _ in range(2)]
        for owner_id in [*owners, await a_process(tx, ended_s=0)]:
            await tx.jobs.add_worker(owner_id, QUEUE)
        await tx.jobs.add_worker(await a_process(tx), "another queue")

    async def take_all(owner_id: UUID) -> list[int]:
        async with database.transaction() as tx:
            found = [await tx.waiting_lanes.take_next(owner_id) for _ in range(5)]
        return [taken.lane.number for taken in found if taken]

    assert await take_all(owners[0]) == [0, 1, 2]
    async with database.transaction() as tx:
        assert await tx.waiting_lanes.count_waiting() == 2
        await tx.lanes._session.execute(
            text(
                "UPDATE batch_lanes SET waits_since = waits_since - interval '1 s' WHERE number = 3"
            )
        )
    assert await take_all(owners[0]) == [3]
    assert await take_all(owners[1]) == [4]
    async with database.transaction() as tx:
        assert batch_id in [lane[0] for lane in await tx.waiting_lanes.list_held(owners[1])]


async def test_lanes_that_wait_are_taken_once_each(database: Database) -> None:
    """Whoever asks at the same time: each gets another lane, until there is none."""
    async with database.transaction() as tx:
        for _ in range(2):
            await a_running_batch(tx, shares=(1, 1, 1))
        owners = [await a_process(tx) for _ in range(8)]

    async def take(owner_id: UUID) -> HeldLane | None:
        async with database.transaction() as tx:
            taken = await tx.waiting_lanes.take_next(owner_id)
        return None if taken is None else taken.lane

    found = [lane for lane in await asyncio.gather(*map(take, owners)) if lane]
    assert len({(lane.batch_id, lane.number) for lane in found}) == len(found) == 6


async def test_somebody_is_reminded_of_lanes_that_wait(database: Database) -> None:
    """Where there are any."""
    async with database.transaction() as tx:
        await tx.waiting_lanes.remind()
        assert QUEUE not in await tx.jobs.count_waiting()
        await a_batch(tx)
        await tx.lanes._session.execute(text("DELETE FROM procrastinate_jobs"))
        await tx.waiting_lanes.remind()
        assert (await tx.jobs.count_waiting())[QUEUE] == 1


async def test_who_is_too_late_for_a_lane_takes_the_next(database: Database) -> None:
    """Where another has taken it since this one looked for lanes that wait."""
    async with database.transaction() as tx:
        batch_id = await a_running_batch(tx, shares=(1, 1))
        owner_id = await a_process(tx)

    async def meanwhile() -> None:
        async with database.transaction() as tx:
            await a_lane(tx, batch_id)

    async with database.transaction() as tx:
        late = _Late(database, tx.lanes._session, meanwhile)
        taken = await WaitingLaneStore(late).take_next(owner_id)  # type: ignore[arg-type]
    assert taken is not None
    assert (taken.lane.number, taken.lane.owner_id) == (1, owner_id)


class _Late:
    """A session whose first answer is older than what has been done meanwhile."""

    def __init__(
        self, database: Database, session: Any, meanwhile: Callable[[], Awaitable[None]]
    ) -> None:
        self._database = database
        self._session = session
        self._meanwhile = [meanwhile]

    async def execute(self, *asked: Any) -> Any:
        if not self._meanwhile:
            return await self._session.execute(*asked)
        async with self._database.transaction() as tx:
            seen = await tx.lanes._session.execute(*asked)
        await self._meanwhile.pop()()
        return seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


async def test_a_lane_that_was_given_back_waits_where_there_is_work(database: Database) -> None:
    """It does not where there is none, unless it was called meanwhile; a dead one's waits."""
    async with database.transaction() as tx:
        batch_id = await a_running_batch(tx)
        owner_id = await a_process(tx)

        async def take() -> HeldLane | None:
            taken = await tx.waiting_lanes.take_next(owner_id)
            return None if taken is None else taken.lane

        lane = await take()
        assert lane
        assert await take() is None
        await tx.lanes.release(lane, waits=True)
        lane = await take()
        assert lane
        await tx.batches.stop(batch_id, BatchStatus.CANCELLED)
        await tx.lanes.release(lane, waits=False)
        lane = await take()
        assert lane
        await tx.lanes.release(lane, waits=False)
        assert await take() is None
        lane = await a_lane(tx, batch_id)
        await tx.processes.end(lane.owner_id)
        assert await tx.waiting_lanes.count_waiting() == 1
        again = await take()
        assert again is not None
        assert again.token == lane.token + 1


async def test_a_resumed_batch_calls_all_its_lanes(database: Database) -> None:
    """Also those that are held: they are taken once more afterwards."""
    async with database.transaction() as tx:
        batch_id = await a_running_batch(tx, shares=(1, 1))
        lanes = [await a_lane(tx, batch_id, number) for number in (0, 1)]
        await tx.batches.pause(batch_id)
        await tx.lanes.release(lanes[0], waits=False)
        assert await tx.waiting_lanes.count_waiting() == 0
        await tx.batches.resume(batch_id)
        assert await tx.waiting_lanes.count_waiting() == 1
        await tx.lanes.release(lanes[1], waits=False)
        assert await tx.waiting_lanes.count_waiting() == 2
