"""The dispatcher: how many it claims, whom it tells, what it gives back, and to whom."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.actions.program_execution.runs import Runs
from app.checkpoints import Checkpoint
from app.database import Database
from app.errors import DatabaseUnavailableError
from app.jobs.dispatcher import Dispatcher
from app.jobs.retry import GivenBackError
from app.models import Execution
from app.models.pending_executions import QUEUE
from app.settings import Settings
from tests.stores.test_pending_executions import a_pending, read
from tests.support.clock import RestlessClock
from tests.support.outage import a_leaving_database
from tests.support.wait import wait_until


class Model:
    """Runs executions, each until it may end; lists what it was given."""

    def __init__(self, runs: Runs) -> None:
        self.given: list[UUID] = []
        self.running: set[UUID] = set()
        self._may_end = asyncio.Semaphore(0)
        self.failure: Exception | None = None
        self._runs = runs

    def end(self, count: int = 1) -> None:
        """Let so many end."""
        for _ in range(count):
            self._may_end.release()

    async def __call__(self, execution: Execution) -> None:
        """Run one, without a record of its end."""
        self.given.append(execution.id)
        with self._runs.run() as run:
            self._runs.begin(run, execution)
            self.running.add(execution.id)
            try:
                if self.failure is not None:
                    raise self.failure
                await self._may_end.acquire()
            finally:
                self.running.discard(execution.id)


class House:
    """A dispatcher, what it runs on, and where it has come by."""

    def __init__(self, database: Database, owner_id: UUID, most: int) -> None:
        self.reached: list[Checkpoint] = []
        self.runs = Runs(lambda: owner_id, self.reached.append)
        self.model = Model(self.runs)
        self.clock = RestlessClock()
        self.dispatcher = Dispatcher(database, self.runs, self.model, self.clock, most)


@pytest.fixture
def owner_id() -> UUID:
    """Who claims."""
    return uuid4()


@asynccontextmanager
async def a_house(database: Database, owner_id: UUID, most: int = 2) -> AsyncIterator[House]:
    """Open a dispatcher, and close it."""
    house = House(database, owner_id, most)
    yield house
    await house.dispatcher.close()


async def pending(database: Database, count: int, **values: Any) -> list[UUID]:
    """Add executions that wait, of which nobody was told."""
    async with database.transaction() as tx:
        return [await a_pending(tx, **values) for _ in range(count)]


async def jobs(database: Database) -> int:
    """Count the jobs that wait."""
    async with database.transaction() as tx:
        return (await tx.jobs.count_waiting()).get(QUEUE, 0)


async def test_what_waits_is_run(database: Database, owner_id: UUID) -> None:
    """All at once where there is room; the job ends before they do."""
    ids = await pending(database, 2)
    async with a_house(database, owner_id, most=3) as house:
        await house.dispatcher()
        await wait_until(lambda: house.model.running == set(ids))
        assert not house.dispatcher.is_idle
        house.model.end(2)
        await wait_until(lambda: house.dispatcher.is_idle)
        assert house.reached == [Checkpoint.BEFORE_CLAIM, Checkpoint.CLAIMED]
        assert await jobs(database) == 0


async def test_where_nothing_waits_nothing_is_done(database: Database, owner_id: UUID) -> None:
    """The wake-up was another's."""
    async with a_house(database, owner_id) as house:
        await house.dispatcher()
        assert house.reached == [Checkpoint.BEFORE_CLAIM]
        assert house.dispatcher.is_idle


async def test_no_more_run_at_once_than_there_are_places(
    database: Database, owner_id: UUID
) -> None:
    """A place that comes free is taken by the next; another process is told, once."""
    ids = await pending(database, 4)
    async with a_house(database, owner_id) as house:
        dispatching = asyncio.create_task(house.dispatcher())
        await wait_until(lambda: house.model.running == set(ids[:2]))
        assert await jobs(database) == 1
        assert not dispatching.done()
        house.model.end()
        await wait_until(lambda: len(house.model.given) == 3)
        assert len(house.model.running) == 2
        house.model.end(3)
        await dispatching
        await wait_until(lambda: house.dispatcher.is_idle)
    assert sorted(house.model.given) == ids
    assert await jobs(database) == 1


async def test_a_suspect_runs_alone(database: Database, owner_id: UUID) -> None:
    """It waits until nothing runs beside it, and starts then; nothing runs until it has ended."""
    (first,) = await pending(database, 1)
    async with a_house(database, owner_id) as house:
        await house.dispatcher()
        (suspect,) = await pending(database, 1, is_suspect=True)
        (last,) = await pending(database, 1)
        dispatching = asyncio.create_task(house.dispatcher())
        await wait_until(lambda: house.reached.count(Checkpoint.CLAIMED) == 2)
        assert (await read(database, suspect)).started_at is None
        assert house.model.running == {first}
        house.model.end()
        await wait_until(lambda: house.model.running == {suspect})
        assert (await read(database, suspect)).started_at is not None
        assert not dispatching.done()
        house.model.end()
        await dispatching
        await wait_until(lambda: house.model.running == {last})


async def test_a_suspect_that_was_cancelled_does_not_run(
    database: Database, owner_id: UUID
) -> None:
    """While it waited to be alone; the next is claimed then."""
    (first,) = await pending(database, 1)
    async with a_house(database, owner_id) as house:
        await house.dispatcher()
        (suspect,) = await pending(database, 1, is_suspect=True)
        dispatching = asyncio.create_task(house.dispatcher())
        await wait_until(lambda: house.reached.count(Checkpoint.CLAIMED) == 2)
        async with database.transaction() as tx:
            ending = {"status": "cancelled", "outcome": "cancelled"}
            await tx.executions.cancel(suspect, ending)
        house.model.end()
        await dispatching
    assert house.model.given == [first]


async def test_who_is_stopped_claims_no_more(database: Database, owner_id: UUID) -> None:
    """The job is given back, whether it waits for a place or begins; what runs goes on."""
    ids = await pending(database, 3)
    async with a_house(database, owner_id) as house:
        dispatching = asyncio.create_task(house.dispatcher())
        await wait_until(lambda: len(house.model.running) == 2)
        house.dispatcher.stop()
        with pytest.raises(GivenBackError):
            await dispatching
        with pytest.raises(GivenBackError):
            await house.dispatcher()
        assert house.model.running == set(ids[:2])
        house.model.end(2)
        await wait_until(lambda: house.dispatcher.is_idle)
    assert (await read(database, ids[2])).status == "pending"


async def test_what_still_runs_at_the_end_goes_to_others_at_once(
    database: Database, owner_id: UUID
) -> None:
    """Each record keeps the attempt that was lost, and somebody is woken up."""
    ids = await pending(database, 2)
    async with a_house(database, owner_id, most=3) as house:
        await house.dispatcher()
        await wait_until(lambda: house.model.running == set(ids))
    assert house.model.running == set()
    found = [await read(database, one) for one in ids]
    assert [one.status for one in found] == ["pending"] * 2
    assert [one.owner_id for one in found] == [None] * 2
    (attempt,) = found[0].attempts
    assert attempt["error"]["type"] == "cancelled"
    assert attempt["error"]["message"] == "The process that ran it was stopped."
    assert attempt["duration_ms"] > 0
    assert await jobs(database) == 1
    assert house.reached[-2:] == [Checkpoint.BEFORE_GIVE_BACK, Checkpoint.GIVEN_BACK]


async def test_a_suspect_that_waits_at_the_end_has_lost_nothing(
    database: Database, owner_id: UUID
) -> None:
    """It had not started."""
    await pending(database, 1)
    async with a_house(database, owner_id) as house:
        await house.dispatcher()
        (suspect,) = await pending(database, 1, is_suspect=True)
        dispatching = asyncio.create_task(house.dispatcher())
        await wait_until(lambda: house.reached.count(Checkpoint.CLAIMED) == 2)
        house.dispatcher.stop()
        await asyncio.wait({dispatching})
    found = await read(database, suspect)
    assert (found.status, found.attempts) == ("pending", [])


async def test_an_outage_at_the_end_is_not_waited_for(
    settings: Settings, database: Database, owner_id: UUID, caplog: pytest.LogCaptureFixture
) -> None:
    """The others find out by the silence of this process."""
    caplog.set_level(logging.WARNING)
    (one,) = await pending(database, 1)
    async with a_leaving_database(settings) as leaving:
        house = House(leaving, owner_id, 2)
        await house.dispatcher()
        leaving.is_away = True
        await house.dispatcher.close()
    assert "executions are not given back" in caplog.text
    assert (await read(database, one)).status == "running"


async def test_a_run_that_fails_makes_room(
    database: Database, owner_id: UUID, caplog: pytest.LogCaptureFixture
) -> None:
    """What it raised stands in the log."""
    caplog.set_level(logging.ERROR)
    ids = await pending(database, 2)
    async with a_house(database, owner_id, most=1) as house:
        house.model.failure = ZeroDivisionError("one too few")
        await house.dispatcher()
        await wait_until(lambda: house.dispatcher.is_idle)
    assert house.model.given == ids
    assert "one too few" in caplog.text


def _at(place: Checkpoint, do: Callable[[], object]) -> Callable[[Checkpoint], None]:
    def reached(checkpoint: Checkpoint) -> None:
        if checkpoint is place:
            do()

    return reached


def _is_away() -> None:
    raise DatabaseUnavailableError("The database does not answer.")


async def test_a_claim_whose_answer_is_lost_is_undone(database: Database, owner_id: UUID) -> None:
    """It was committed, and nobody runs it: it waits again, and nothing is held against it."""
    first, lost = await pending(database, 2)
    async with a_house(database, owner_id, most=1) as house:
        dispatching = asyncio.create_task(house.dispatcher())
        await wait_until(lambda: house.model.running == {first})
        house.runs.reached = _at(Checkpoint.CLAIMED, _is_away)
        house.model.end()
        with pytest.raises(DatabaseUnavailableError):
            await dispatching
        await wait_until(lambda: not house.dispatcher._mending)
        found = await read(database, lost)
        assert (found.status, found.attempts) == ("pending", [])


async def test_a_lost_answer_is_looked_after_once_the_database_is_back(
    settings: Settings, database: Database, owner_id: UUID
) -> None:
    """While it is away there is nothing to see."""
    (lost,) = await pending(database, 1)
    async with a_leaving_database(settings) as leaving, a_house(leaving, owner_id) as house:
        async with database.transaction() as tx:
            await tx.pending_executions.claim(owner_id, 1)
        leaving.is_away = True
        with pytest.raises(DatabaseUnavailableError):
            await house.dispatcher()
        await wait_until(lambda: bool(house.clock.slept))
        assert (await read(database, lost)).status == "running"
        leaving.is_away = False
        await wait_until(lambda: not house.dispatcher._mending)
        assert (await read(database, lost)).status == "pending"


@pytest.mark.usefixtures("database")
async def test_the_end_does_not_wait_for_what_is_looked_after(
    settings: Settings, owner_id: UUID
) -> None:
    """A database that is away holds no process."""
    async with a_leaving_database(settings) as leaving:
        house = House(leaving, owner_id, 2)
        leaving.is_away = True
        with pytest.raises(DatabaseUnavailableError):
            await house.dispatcher()
        await house.dispatcher.close()
        await wait_until(lambda: not house.dispatcher._mending)
