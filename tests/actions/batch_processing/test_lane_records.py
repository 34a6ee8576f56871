"""A lane's records outlast a database that is away: nothing is claimed twice, nothing forgotten."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from typing_extensions import override

from app.actions.batch_processing.lane_records import LaneRecords
from app.actions.patience import AGAIN_AFTER_S
from app.database import Database
from app.errors import DatabaseUnavailableError
from app.models.ids import place_of
from app.settings import Settings
from app.stores.batch_lanes import HeldLane
from tests.stores.rows import a_batch, a_lane
from tests.stores.test_batches import counts
from tests.support.batches import reading
from tests.support.clock import ManualClock
from tests.support.outage import LeavingDatabase, a_leaving_database


class ReturningClock(ManualClock):
    """A clock on which the database is back after each pause."""

    def __init__(self, database: LeavingDatabase) -> None:
        super().__init__()
        self._database = database

    @override
    async def sleep(self, seconds: float) -> None:
        """Advance, and have the database answer."""
        await super().sleep(seconds)
        self._database.is_away = False


class Records(LaneRecords):
    """The records of the only lane of a batch."""

    def __init__(self, database: LeavingDatabase, lane: HeldLane) -> None:
        self.database = database
        self.clock = ReturningClock(database)
        super().__init__(database, lane, lambda: lane.owner_id, self.clock)

    async def claimed(self, limit: int) -> list[int]:
        """Claim, and give the places of what was claimed."""
        return [place_of(item.id) for item in await self.claim(limit) or ()]


@pytest.fixture
async def batch_id(database: Database) -> UUID:
    """A batch of four items that are not handed out yet; the third is invalid."""
    async with database.transaction() as tx:
        return await a_batch(tx, 4, invalid=(2,))


@pytest.fixture
async def records(settings: Settings, database: Database, batch_id: UUID) -> AsyncIterator[Records]:
    """The records of its lane, on a database that can be away."""
    async with database.transaction() as tx:
        lane = await a_lane(tx, batch_id)
    async with a_leaving_database(settings) as leaving:
        yield Records(leaving, lane)


async def test_a_lane_begins_and_claims_when_the_database_is_back(
    database: Database, records: Records, batch_id: UUID
) -> None:
    """It asks again after a pause, as often as it must."""
    records.database.is_away = True
    assert (await records.open()).batch.status == "running"
    records.database.is_away = True
    assert await records.claimed(2) == [0, 1]
    assert records.clock.slept == [AGAIN_AFTER_S] * 2
    assert counts(await reading(database, batch_id)) == [1, 2, 0, 1, 0]


async def test_a_claim_whose_answer_was_lost_is_found_again(
    database: Database, records: Records, batch_id: UUID
) -> None:
    """What is claimed already is given, and nothing more is claimed for that; then what is next."""

    async def lose_the_answer() -> None:
        raise DatabaseUnavailableError("The database does not answer.")

    await records.open()
    assert await records.claimed(1) == [0]
    records.database.after_next.append(lose_the_answer)
    assert await records.claimed(1) == [1]
    assert counts(await reading(database, batch_id)) == [1, 2, 0, 1, 0]
    assert await records.claimed(1) == [3]
    assert await records.claimed(1) == []
