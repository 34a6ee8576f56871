"""Listeners hear of a batch from its beginning to its end, however many and however slow."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete

from app.actions.batch_processing.events import BatchEvent
from app.actions.batch_processing.listening import WOKEN_AT_ONCE, BatchListening
from app.database import Database
from app.errors import BatchNotFoundError
from app.models import Batch, BatchLane
from app.policies.drain import Drain, Stage
from app.settings import Settings
from app.stores.pages import Page
from tests.stores.rows import IDS, a_batch
from tests.support.clock import RestlessClock
from tests.support.factories import a_narrow_database
from tests.support.outage import a_leaving_database
from tests.support.wait import wait_until


@dataclass
class Listener:
    """What one has heard; `has_ended` tells that there will be no more."""

    heard: list[BatchEvent | None] = field(default_factory=list)
    has_ended: bool = False

    @property
    def sequences(self) -> list[int]:
        """The sequences of the events."""
        return [event.sequence for event in self.heard if event is not None]

    async def __call__(self, events: AsyncIterator[BatchEvent | None]) -> None:
        """Listen to the end."""
        async for event in events:
            self.heard.append(event)
        self.has_ended = True


@dataclass
class House:
    """Batches, and who listens to them."""

    database: Database
    listening: BatchListening
    drain: Drain
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def listen(self, batch_id: UUID, after: int = 0) -> Listener:
        """Have somebody listen who has heard something."""
        events = await self.listening(batch_id, after)
        assert events is not None
        listener = Listener()
        self.tasks.append(asyncio.create_task(listener(events)))
        await wait_until(lambda: bool(listener.heard) or listener.has_ended)
        return listener

    async def begin(self, total: int = 3, **values: Any) -> UUID:
        """Add a batch."""
        async with self.database.transaction() as tx:
            return await a_batch(tx, total, **values)

    async def change(self, change: Callable[[Any], Awaitable[Any]]) -> int:
        """Change the one batch by its store; give its sequence then."""
        async with self.database.transaction() as tx:
            assert await change(tx.batches)
            (read,) = (await tx.batches.list_page(Page())).items
        return read.sequence


@asynccontextmanager
async def a_house(database: Database, keep_alive_s: float = 60.0) -> AsyncIterator[House]:
    """Look at batches until the block ends."""
    drain = Drain()
    house = House(database, BatchListening(database, RestlessClock(), keep_alive_s), drain)
    looking = asyncio.create_task(house.listening.look_on(drain))
    yield house
    drain.go_to(Stage.CLOSING)
    await asyncio.wait({looking, *house.tasks})


async def test_a_batch_is_heard_to_its_end(database: Database) -> None:
    """As it stands, then each change, then the last: there is nothing more to be heard."""
    async with a_house(database) as house:
        batch_id = await house.begin()
        listener = await house.listen(batch_id)
        for change in (
            lambda batches: batches.start(batch_id),
            lambda batches: batches.pause(batch_id),
            lambda batches: batches.close(batch_id, {}),
        ):
            sequence = await house.change(change)
            await wait_until(lambda: listener.sequences[-1] == sequence)  # noqa: B023 - now
        await wait_until(lambda: listener.has_ended)
        assert listener.sequences == [1, 2, 3, 4]
        statuses = [event.data["status"] for event in listener.heard if event is not None]
        assert statuses == ["pending", "running", "paused", "completed"]
        last = listener.heard[-1]
        assert last is not None
        assert (last.is_last, last.type) == (True, "batch.completed")
        assert await house.listening(batch_id, after=4) is None
        assert (await house.listen(batch_id, after=3)).sequences == [4]


async def test_who_comes_back_hears_what_is_new(database: Database) -> None:
    """Nothing at once where nothing has changed."""
    async with a_house(database, keep_alive_s=0.05) as house:
        batch_id = await house.begin()
        back = await house.listen(batch_id, after=1)
        assert back.heard[0] is None
        sequence = await house.change(lambda batches: batches.start(batch_id))
        await wait_until(lambda: back.sequences == [sequence])


async def test_many_listeners_share_what_is_read(database: Database) -> None:
    """However many they are, they hear the same event, which was read and written once."""
    count = WOKEN_AT_ONCE + 1
    async with a_house(database) as house:
        batch_id = await house.begin()
        listeners = [await house.listen(batch_id) for _ in range(count)]
        sequence = await house.change(lambda batches: batches.start(batch_id))
        await wait_until(
            lambda: all(one.sequences[-1] == sequence for one in listeners), timeout_s=30
        )
        assert len({id(one.heard[-1]) for one in listeners}) == 1
        await house.change(lambda batches: batches.close(batch_id, {}))
        await wait_until(lambda: all(one.has_ended for one in listeners), timeout_s=30)
        assert not house.listening._topics


async def test_all_who_come_at_once_cost_one_read(settings: Settings, database: Database) -> None:
    """As when a server ends, and all who listened there come here: one connection is enough."""
    async with a_narrow_database(settings) as narrow, a_house(narrow) as house:
        house.database = database
        batch_id = await house.begin()
        events = await asyncio.gather(*(house.listening(batch_id) for _ in range(200)))
        assert len({id(await anext(one)) for one in events if one is not None}) == 1
        for one in events:
            assert one is not None
            await one.aclose()


async def test_a_slow_listener_hears_the_newest_alone(database: Database) -> None:
    """What came meanwhile is in it."""
    async with a_house(database) as house:
        batch_id = await house.begin()
        events = await house.listening(batch_id)
        assert events is not None
        first = await anext(events)
        beside = await house.listen(batch_id)
        await house.change(lambda batches: batches.start(batch_id))
        sequence = await house.change(lambda batches: batches.pause(batch_id))
        await wait_until(lambda: beside.sequences[-1] == sequence)
        second = await anext(events)
        assert first is not None
        assert second is not None
        assert (first.sequence, second.sequence) == (1, sequence)
        await events.aclose()


async def test_what_changes_before_the_first_look_is_heard(database: Database) -> None:
    """A listener that joins others late misses nothing."""
    async with a_house(database) as house:
        batch_id = await house.begin()
        beside = await house.listen(batch_id)
        late = await house.listening(batch_id)
        assert late is not None
        sequence = await house.change(lambda batches: batches.close(batch_id, {}))
        await wait_until(lambda: beside.has_ended)
        listener = Listener()
        await listener(late)
        assert listener.sequences == [1, sequence]


async def test_listening_goes_on_after_an_outage(settings: Settings, database: Database) -> None:
    """What happened meanwhile is heard then."""
    async with a_leaving_database(settings) as leaving, a_house(leaving) as house:
        house.database = database
        batch_id = await house.begin()
        listener = await house.listen(batch_id)
        leaving.is_away = True
        sequence = await house.change(lambda batches: batches.start(batch_id))
        leaving.is_away = False
        await wait_until(lambda: listener.sequences == [1, sequence])


async def test_a_batch_that_is_gone_is_over(database: Database) -> None:
    """And one that never was is said to be so."""
    async with a_house(database) as house:
        batch_id = await house.begin()
        listener = await house.listen(batch_id)
        async with database.transaction() as tx:
            session = tx.batches._session
            await session.execute(delete(BatchLane))
            await session.execute(delete(Batch))
        await wait_until(lambda: listener.has_ended)
        with pytest.raises(BatchNotFoundError):
            await house.listening(IDS.new())


async def test_a_process_that_closes_ends_all_listening(database: Database) -> None:
    """So that listeners go to another; what comes too late is told what there is."""
    async with a_house(database) as house:
        batch_id = await house.begin()
        listener = await house.listen(batch_id)
        house.drain.go_to(Stage.DRAINING)
        sequence = await house.change(lambda batches: batches.start(batch_id))
        await wait_until(lambda: listener.sequences == [1, sequence])
        house.drain.go_to(Stage.CLOSING)
        await wait_until(lambda: listener.has_ended)
        late = await house.listen(batch_id)
        await wait_until(lambda: late.has_ended)
        assert late.sequences == [sequence]
