from uuid import uuid4

from sqlalchemy import text

from app.actions.resource_cleanup.category import CategoryName
from app.database import Database
from app.models.ids import made_at
from app.models.weeks import Week
from app.stores.transaction import Transaction
from tests.actions.resource_cleanup import mess
from tests.actions.resource_cleanup.conftest import CleanUp

HOUSEKEEPING = CategoryName.HOUSEKEEPING


async def run(tx: Transaction, statement: str) -> None:
    """Run a statement, and have PostgreSQL count at once what it does."""
    await tx.processes._session.execute(text(statement))
    await tx.processes._session.execute(text("SELECT pg_stat_force_next_flush()"))


async def test_what_the_planner_knows_is_made_anew(database: Database, clean_up: CleanUp) -> None:
    """Of tables that have changed much, and of all records together, which nobody else does."""
    async with database.transaction() as tx:
        pattern = await mess.a_record(tx, 0)
        await mess.copies(tx, pattern, 1_500)
        await run(tx, "SELECT 1")
    async with database.transaction() as tx:
        week = Week.of(made_at(pattern)).partition
        stale = set(await tx.housekeeping.list_stale())
    assert {"executions", week} <= stale
    report = (await clean_up(HOUSEKEEPING)).categories[HOUSEKEEPING]
    assert (report.removed, report.errors) == (len(stale), [])
    async with database.transaction() as tx:
        await run(tx, "SELECT 1")
        assert not {"executions", week} & set(await tx.housekeeping.list_stale())


async def test_what_an_operator_should_know_is_said(database: Database, clean_up: CleanUp) -> None:
    """Tables full of dead rows, and indexes by which nobody looks; both stay as they are."""
    digest = "decode(md5(n::text), 'hex')"
    async with database.transaction() as tx:
        await run(
            tx,
            "INSERT INTO idempotency_keys (key, request, resource_id, is_new, created_at)"  # noqa: S608
            f" SELECT {digest}, '', '{uuid4()}', true, now() FROM generate_series(1, 11000) n",
        )
    async with database.transaction() as tx:
        await run(tx, "DELETE FROM idempotency_keys")
    async with database.transaction() as tx:
        assert "idempotency_keys" in await tx.housekeeping.list_bloated()
        idle = await tx.housekeeping.list_idle_indexes(larger_than=0)
        assert "ix_batches_program_id_id" in idle
        assert not [name for name in idle if name.startswith(("pk_", "uq_"))]
    reasons = (await clean_up(HOUSEKEEPING, dry_run=True)).categories[HOUSEKEEPING].reasons
    assert reasons["needs_vacuum: idempotency_keys"] == 1
