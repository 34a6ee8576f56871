from app.actions.resource_cleanup.category import CategoryName
from app.database import Database
from app.processes.orphans import AT_ONCE
from tests.actions.resource_cleanup import mess
from tests.actions.resource_cleanup.conftest import CleanUp
from tests.processes.test_sweep import repeated
from tests.stores.rows import a_process
from tests.stores.test_pending_executions import a_pending
from tests.support.factories import a_program, an_execution

ORPHANS = CategoryName.ORPHANED_EXECUTIONS


async def test_what_runs_for_nobody_who_lives_is_ended(
    database: Database, clean_up: CleanUp
) -> None:
    """Its process has ended, or is not known any more; who is silent may come back."""
    async with database.transaction() as tx:
        added = await mess.orphans(tx)
    report = (await clean_up(ORPHANS)).categories[ORPHANS]
    assert (report.removed, report.reasons) == (2, {"process_not_given_up_yet": 1})
    async with database.transaction() as tx:
        found = {name: (await tx.executions.get(one)).status for name, one in added.items()}
    assert {name for name in found if found[name] == "failed"} == {"dead", "unknown"}
    assert {found[name] for name in found.keys() - {"dead", "unknown"}} == {"running"}


async def test_what_runs_in_the_background_waits_again(
    database: Database, clean_up: CleanUp
) -> None:
    """It counts as mended, and is not ended."""
    async with database.transaction() as tx:
        execution_id = await a_pending(tx)
        await tx.pending_executions.claim(await a_process(tx, ended_s=0), 1)
    assert (await clean_up(ORPHANS)).summary.removed == 1
    async with database.transaction() as tx:
        assert (await tx.executions.get(execution_id)).status == "pending"


async def test_many_end_in_slices(database: Database, clean_up: CleanUp) -> None:
    """One run ends them all, whatever one transaction takes."""
    program = await a_program(database)
    async with database.transaction() as tx:
        dead = await a_process(tx, ended_s=0)
    pattern = await an_execution(database, program, owner_id=dead)
    await repeated(database, pattern, AT_ONCE)
    assert (await clean_up(ORPHANS)).summary.removed == AT_ONCE + 1
