from sqlalchemy import text

from app.actions.resource_cleanup.category import CategoryName
from app.database import Database
from app.stores import expired_deliveries
from tests.actions.resource_cleanup import mess
from tests.actions.resource_cleanup.conftest import CleanUp

DELIVERIES = CategoryName.WEBHOOK_DELIVERIES


async def test_old_deliveries_go_in_slices(database: Database, clean_up: CleanUp) -> None:
    """Those that ended as long ago as records are kept, of batches that have ended."""
    async with database.transaction() as tx:
        added = await mess.deliveries(tx)
        copies = text("""
            INSERT INTO webhook_deliveries
            SELECT (r).* FROM (
                SELECT jsonb_populate_record(d, jsonb_build_object(
                    'id', gen_random_uuid(), 'sequence', 10 + n)) AS r
                FROM webhook_deliveries d, generate_series(1, :count) n WHERE d.id = :id
            ) AS made
        """)
        bound = {"id": added["expired"], "count": expired_deliveries.SLICE}
        await tx.processes._session.execute(copies, bound)
    report = (await clean_up(DELIVERIES)).summary
    assert report.removed == expired_deliveries.SLICE + 1
    assert report.bytes_freed > 0
    async with database.transaction() as tx:
        there = set(await tx.processes._session.scalars(text("SELECT id FROM webhook_deliveries")))
    assert {name for name, one in added.items() if one not in there} == {"expired"}
