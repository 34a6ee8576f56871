"""The memory of programs: an execution reads nothing that it has read before."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from uuid import UUID

import pytest
from sqlalchemy import event

from app.actions.program_catalogue import MOST_REMEMBERED, REMEMBERED_S, ProgramCatalogue
from app.database import Database
from app.errors import ProgramNotFoundError, RevisionNotFoundError
from app.models import Program
from app.settings import Settings
from tests.support.adapters import ScriptedAdapter, answer
from tests.support.clock import ManualClock
from tests.support.factories import a_narrow_database, a_program, a_run, an_action, new_ids
from tests.support.wait import wait_until


@contextmanager
def statements_of(database: Database) -> Iterator[list[str]]:
    """List the statements that go by the pool, and its transactions' ends."""
    engine, seen = database._engine.sync_engine, list[str]()

    def note(_link: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


@pytest.fixture
async def narrow(settings: Settings) -> AsyncIterator[Database]:
    """The test's database by one connection, for which nobody waits long."""
    async with a_narrow_database(settings) as database:
        yield database


async def change(database: Database, program: Program) -> None:
    """Give a program another config, as another process might."""
    async with database.transaction() as tx:
        await tx.programs.hold(program.id)
        await tx.programs.change(program.id, {"config": {"changed": True}})


async def test_a_program_is_read_once(database: Database) -> None:
    """However many ask at once or later, until it is too old."""
    program, clock = await a_program(database), ManualClock()
    catalogue = ProgramCatalogue(database, clock)
    with statements_of(database) as seen:
        found = await asyncio.gather(*(catalogue.recall(program.id) for _ in range(9)))
        once = len(seen)
        clock.advance(REMEMBERED_S - 0.1)
        assert await catalogue.recall(program.id) is found[0]
        assert len(seen) == once > 0
        clock.advance(0.1)
        assert await catalogue.recall(program.id) is not found[0]
        assert len(seen) > once
    assert all(one is found[0] for one in found)


async def test_an_execution_of_a_remembered_program_needs_no_transaction(
    database: Database,
) -> None:
    """Beside the recorder's two writes it asks the database nothing."""
    program = await a_program(database)
    action = an_action(database, ScriptedAdapter(*[answer(answer="a")] * 3))
    await action(a_run(program))
    with statements_of(database) as seen:
        await action(a_run(program))
        await action(a_run(program))
    assert seen == []


async def test_what_has_changed_is_forgotten(database: Database) -> None:
    """That program in all its revisions, and no other; or all, where news may have been lost."""
    one, other = await a_program(database), await a_program(database, name="other")
    catalogue = ProgramCatalogue(database, ManualClock())
    first, pinned, kept = [
        await catalogue.recall(*key) for key in ((one.id,), (one.id, 1), (other.id,))
    ]
    await change(database, one)
    assert await catalogue.recall(one.id) is first
    catalogue.forget([one.id])
    assert (await catalogue.recall(one.id)).program.config == {"changed": True}
    assert await catalogue.recall(one.id, 1) is not pinned
    assert await catalogue.recall(other.id) is kept
    catalogue.forget_all()
    assert await catalogue.recall(other.id) is not kept


async def test_a_transaction_tells_which_programs_it_changed(
    settings: Settings,
    database: Database,  # noqa: ARG001 - emptied after us
) -> None:
    """After its commit, whatever was done to them; one that is rolled back tells nothing."""
    told: list[set[UUID]] = []
    telling = Database.connect(settings.database, lambda ids: told.append(set(ids)))
    program = await a_program(telling)
    assert told == [{program.id}]
    await change(telling, program)
    assert told == [{program.id}] * 2
    with pytest.raises(ProgramNotFoundError):
        await _change_and_fail(telling, program)
    async with telling.transaction() as tx:
        await tx.programs.get(program.id)
    assert told == [{program.id}] * 2
    await telling.close()


async def _change_and_fail(database: Database, program: Program) -> None:
    async with database.transaction() as tx:
        await tx.programs.change(program.id, {"config": {}})
        await tx.programs.get(new_ids().new())


async def test_a_failure_is_not_remembered(database: Database, narrow: Database) -> None:
    """What is not there may come, and a database that is away may come back."""
    program = await a_program(database)
    catalogue = ProgramCatalogue(narrow, ManualClock())
    with pytest.raises(RevisionNotFoundError):
        await catalogue.recall(program.id, 2)
    async with database.transaction() as tx:
        await tx.programs.hold(program.id)
        await tx.programs.add_revision(program, {})
    assert (await catalogue.recall(program.id, 2)).at.revision == 2
    with pytest.raises(ProgramNotFoundError):
        await catalogue.recall(new_ids().new())


async def test_who_goes_away_while_a_program_is_read_takes_it_from_nobody(
    database: Database, narrow: Database
) -> None:
    """The reading goes on for the others."""
    program = await a_program(database)
    catalogue = ProgramCatalogue(narrow, ManualClock())
    async with narrow.transaction() as tx:
        await tx.programs.get(program.id)
        leaving, staying = [asyncio.create_task(catalogue.recall(program.id)) for _ in range(2)]
        await wait_until(lambda: bool(catalogue._memories))
        leaving.cancel()
        await asyncio.wait({leaving})
    assert (await staying).program.id == program.id


async def test_a_failure_that_was_forgotten_drops_nothing_of_its_successor(
    database: Database, narrow: Database
) -> None:
    """A reading that was begun before a change and fails leaves the one after it alone."""
    program = await a_program(database)
    catalogue = ProgramCatalogue(narrow, ManualClock())
    async with narrow.transaction() as tx:
        await tx.programs.get(program.id)
        first = asyncio.create_task(catalogue.recall(program.id))
        await wait_until(lambda: bool(catalogue._memories))
        catalogue.forget([program.id])
        await asyncio.wait({first})
        assert first.exception() is not None
    assert (await catalogue.recall(program.id)).program.id == program.id


async def test_so_many_are_remembered_and_no_more(database: Database) -> None:
    """The oldest makes place for the next."""
    program = await a_program(database)
    catalogue = ProgramCatalogue(database, ManualClock())
    first = await catalogue.recall(program.id)
    known = catalogue._memories[program.id, None]
    others = [new_ids().new() for _ in range(MOST_REMEMBERED - 1)]
    catalogue._memories.update({(other, None): known for other in others})
    await catalogue.recall(program.id, 1)
    assert len(catalogue._memories) == MOST_REMEMBERED
    assert await catalogue.recall(program.id) is not first
