from collections.abc import Callable, Coroutine
from uuid import uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from app.actions.resource_cleanup.category import CategoryName
from app.database import Database
from app.models.ids import made_at
from app.models.weeks import Week
from app.settings import DatabaseSettings, Settings
from app.stores.transaction import Transaction
from tests.actions.resource_cleanup import mess
from tests.actions.resource_cleanup.conftest import CleanUp

HOUSEKEEPING = CategoryName.HOUSEKEEPING


@pytest.fixture
async def settings(
    settings: Settings, new_database: Callable[[str], Coroutine[None, None, str]]
) -> Settings:
    """A database of which PostgreSQL remembers nothing from other tests."""
    url = SecretStr(await new_database(f"housekeeping_{uuid4().hex}"))
    return settings.model_copy(update={"database": DatabaseSettings(url=url)})


async def run(tx: Transaction, statement: str) -> None:
    """Run a statement, and have PostgreSQL count at once what it does."""
    await tx.processes._session.execute(text(statement))
    await tx.processes._session.execute(text("SELECT pg_stat_force_next_flush()"))


async def test_what_the_planner_knows_is_made_anew(database: Database, clean_up: CleanUp) -> None:
    """Of tables that have changed much, and of all records together, which nobody else does."""
    async with database.transaction() as tx:
        pattern = await mess.a_record(tx, 0)
        week = Week.of(made_at(pattern)).partition
        await run(tx, f"ALTER TABLE {week} SET (autovacuum_enabled = off)")
        await mess.copies(tx, pattern, 1_500)
    async with database.transaction() as tx:
        assert {"executions", week} == set(await tx.housekeeping.list_stale())
    report = (await clean_up(HOUSEKEEPING)).categories[HOUSEKEEPING]
    assert (report.removed, report.errors) == (2, [])
    async with database.transaction() as tx:
        await run(tx, "SELECT 1")
        assert not await tx.housekeeping.list_stale()


async def test_a_large_table_may_take_longer_than_other_statements(
    settings: Settings, database: Database
) -> None:
    """Neither the server nor the driver ends it: here a row of it takes longer than they allow."""
    async with database.transaction() as tx:
        await run(tx, "CREATE TABLE large (n int)")
        await run(
            tx,
            "CREATE FUNCTION slow(n int) RETURNS int IMMUTABLE LANGUAGE sql AS"
            " 'SELECT n FROM pg_sleep("
            "coalesce(current_setting(''test.s'', true), ''1.2'')::float)'",
        )
        await run(tx, "CREATE INDEX ON large (slow(n))")
        await run(tx, "SET LOCAL test.s = '0'")
        await run(tx, "INSERT INTO large VALUES (1)")
    limits = {"statement_timeout_ms": 1_000, "hang_timeout_ms": 1}
    hurried = Database.connect(settings.database.model_copy(update=limits))
    try:
        async with hurried.transaction() as tx:
            await tx.housekeeping.analyze("large")
    finally:
        await hurried.close()
    async with database.transaction() as tx:
        known = await tx.processes._session.scalars(
            text("SELECT reltuples FROM pg_class WHERE relname = 'large'")
        )
        assert known.one() == 1


async def test_what_an_operator_should_know_is_said(database: Database, clean_up: CleanUp) -> None:
    """Tables full of dead rows, and indexes by which nobody looks; both stay as they are."""
    async with database.transaction() as tx:
        await run(tx, "CREATE TABLE crowded (n int) WITH (autovacuum_enabled = off)")
        await run(tx, "CREATE INDEX ix_crowded_n ON crowded (n)")
        await run(tx, "INSERT INTO crowded SELECT generate_series(1, 11000)")
    async with database.transaction() as tx:
        await run(tx, "DELETE FROM crowded")
    async with database.transaction() as tx:
        assert await tx.housekeeping.list_bloated() == ["crowded"]
        idle = await tx.housekeeping.list_idle_indexes(larger_than=0)
        assert "ix_crowded_n" in idle
        assert not [name for name in idle if name.startswith(("pk_", "uq_"))]
    reasons = (await clean_up(HOUSEKEEPING, dry_run=True)).categories[HOUSEKEEPING].reasons
    assert reasons["needs_vacuum: crowded"] == 1
