from app.actions.resource_cleanup.category import CategoryName
from app.database import Database
from app.models.batches import QUEUE
from tests.actions.resource_cleanup import mess
from tests.actions.resource_cleanup.conftest import CleanUp
from tests.stores.rows import a_process

STALLED = CategoryName.STALLED_BATCHES


async def test_a_batch_without_a_lane_is_set_going_or_closed(
    database: Database, clean_up: CleanUp
) -> None:
    """Those whose items have all ended end, paused or not; others get holders for their lanes."""
    async with database.transaction() as tx:
        added = await mess.batches(tx)
    assert (await clean_up(STALLED)).summary.removed == 4
    async with database.transaction() as tx:
        found = {name: (await tx.batches.get(one)).batch.status for name, one in added.items()}
        assert (await tx.jobs.count_waiting())[QUEUE] == 1
        owner_id, taken = await a_process(tx), set()
        while lane := await tx.waiting_lanes.take_next(owner_id):
            taken.add((lane.lane.batch_id, lane.lane.number))
    over = {name for name, status in found.items() if status == "completed"}
    assert over == {"over", "paused and over"}
    assert taken == {
        *((added["stalled"], number) for number in range(2)),
        (added["stopping"], 0),
        (added["waiting"], 0),
    }


async def test_a_batch_that_somebody_works_on_by_now_is_left_to_him(database: Database) -> None:
    """Its lanes are not called again; nor are there any of a batch without lanes."""
    async with database.transaction() as tx:
        added = await mess.batches(tx)
        assert not await tx.idle_batches.set_going(added["worked on"])
        assert not await tx.idle_batches.set_going(added["waiting"])
        assert await tx.idle_batches.set_going(added["stalled"])
        assert not await tx.idle_batches.set_going(added["stalled"])
