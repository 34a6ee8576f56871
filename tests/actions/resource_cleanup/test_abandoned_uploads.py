from sqlalchemy import text

from app.actions.resource_cleanup.category import CategoryName
from app.database import Database
from app.models.ids import item_id
from tests.actions.resource_cleanup import mess
from tests.actions.resource_cleanup.conftest import CleanUp


async def test_what_came_in_of_a_dead_process_goes_at_once(
    database: Database, clean_up: CleanUp
) -> None:
    """With its items; what comes in by a living one is left alone."""
    async with database.transaction() as tx:
        added = await mess.uploads(tx)
    assert (await clean_up(CategoryName.ABANDONED_UPLOADS)).summary.removed == 1
    async with database.transaction() as tx:
        assert [one.id for one in await tx.batch_uploads.list_all()] == [added["coming in"]]
        items = await tx.processes._session.scalars(text("SELECT id FROM executions"))
        assert items.all() == [item_id(added["coming in"], 0)]
