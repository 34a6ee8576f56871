"""Programs between adapters and the database: held and unknown, ready and not held."""

from app.actions.resource_cleanup.category import CategoryName, Tools
from app.database import Database
from app.models.states import ProgramStatus
from tests.actions.resource_cleanup.conftest import CleanUp
from tests.adapters.programs import a_program as an_adapters_program
from tests.stores.rows import a_program

UNKNOWN = CategoryName.UNKNOWN_PROGRAMS
UNPREPARED = CategoryName.UNPREPARED_PROGRAMS


async def test_a_program_that_nobody_knows_is_not_held_any_longer(
    database: Database, clean_up: CleanUp, tools: Tools
) -> None:
    """Those that stand in the database are, whatever their status."""
    adapter = tools.adapters.get("mock")
    async with database.transaction() as tx:
        known = (await a_program(tx)).id
    await adapter.create_program(an_adapters_program(program_id=known))
    await adapter.create_program(an_adapters_program())
    assert (await clean_up(UNKNOWN, dry_run=True)).summary.found == 1
    assert (await clean_up(UNKNOWN)).summary.removed == 1
    assert [held.program_id for held in await adapter.list_programs()] == [known]


async def test_a_ready_program_that_is_not_held_is_prepared_when_it_is_needed(
    database: Database, clean_up: CleanUp, tools: Tools
) -> None:
    """It is reported and left; one of an adapter that is not here is none of this process's."""
    async with database.transaction() as tx:
        for adapter in ("mock", "mock", "elsewhere"):
            program = await a_program(tx, adapter=adapter)
            await tx.programs.mark(program.id, ProgramStatus.INITIALIZING)
            await tx.programs.mark(program.id, ProgramStatus.READY)
        held = (await tx.programs.list_ready())[0][1]
    await tools.adapters.get("mock").create_program(an_adapters_program(program_id=held))
    for dry_run in (True, False):
        report = (await clean_up(UNPREPARED, dry_run=dry_run)).categories[UNPREPARED]
        assert (report.found, report.removed) == (1, 0)
        assert report.reasons == {"prepared_on_demand": 1}
