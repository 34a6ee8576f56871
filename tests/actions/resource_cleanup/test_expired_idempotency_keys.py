from uuid import uuid4

from sqlalchemy import text

from app.actions.resource_cleanup.category import CategoryName
from app.database import Database
from app.stores.idempotency_keys import SLICE
from tests.actions.resource_cleanup.conftest import CleanUp


async def test_many_keys_go_in_slices(database: Database, clean_up: CleanUp) -> None:
    """One run forgets them all, and says what they took."""
    add = text("""
        INSERT INTO idempotency_keys (key, request, resource_id, is_new, created_at)
        SELECT int4send(n), '', :id, true, now() - interval '25 h' FROM generate_series(0, :last) n
    """)
    async with database.transaction() as tx:
        await tx.processes._session.execute(add, {"id": uuid4(), "last": SLICE})
    report = await clean_up(CategoryName.EXPIRED_IDEMPOTENCY_KEYS)
    assert report.summary.removed == SLICE + 1
    assert report.summary.bytes_freed > 40 * SLICE
