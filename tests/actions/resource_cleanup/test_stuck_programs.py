from app.actions.resource_cleanup.category import CategoryName
from app.actions.resource_cleanup.stuck_programs import ERROR, STUCK_AFTER_S
from app.database import Database
from app.models.states import ProgramStatus
from tests.actions.resource_cleanup import mess
from tests.actions.resource_cleanup.conftest import CleanUp


async def test_a_program_whose_preparation_never_ended_may_be_initialized_again(
    database: Database, clean_up: CleanUp
) -> None:
    """It is in error and says why; one that is being prepared is left alone."""
    async with database.transaction() as tx:
        added = await mess.programs(tx)
    assert (await clean_up(CategoryName.STUCK_PROGRAMS)).summary.removed == 1
    async with database.transaction() as tx:
        found = {name: await tx.programs.get(one) for name, one in added.items()}
        assert (found["stuck"].status, found["stuck"].error) == ("error", ERROR)
        assert (found["busy"].status, found["draft"].status) == ("initializing", "draft")
        assert await tx.programs.mark(added["stuck"], ProgramStatus.INITIALIZING)
        assert not await tx.programs.give_up_stuck(STUCK_AFTER_S, ERROR)
