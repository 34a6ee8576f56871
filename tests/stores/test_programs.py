import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from app.database import Database
from app.errors import NameTakenError, ProgramNotFoundError
from app.models import Program, ProgramRevision
from app.models.states import PROGRAM_MOVES, ProgramStatus
from app.stores.pages import Page
from app.stores.transaction import Transaction
from tests.stores.rows import IDS, a_program, a_signature


async def a_program_in(tx: Transaction, status: ProgramStatus, **values: object) -> Program:
    """Add a program that stands at `status`."""
    program = await a_program(tx, **values)
    program.status = status
    return program


async def test_a_program_begins_as_a_draft_with_its_first_revision(database: Database) -> None:
    """What is added is a draft that never ran, and its first revision says the same."""
    async with database.transaction() as tx:
        added = await a_program(tx, config={"b": 1, "a": {"c": []}}, retention={"failed_days": 0})
    async with database.transaction() as tx:
        found = await tx.programs.get(added.id)
        (revision,) = await tx.programs.list_revisions(added.id)
    assert (found.status, found.error) == (ProgramStatus.DRAFT, None)
    assert (found.execution_count, found.last_executed_at) == (0, None)
    assert found.created_at == found.updated_at == revision.created_at
    assert found.retention == {"failed_days": 0}
    assert found.revision == revision.revision == 1
    assert repr(found.config) == repr(revision.config) == repr({"b": 1, "a": {"c": []}})
    assert (revision.adapter, revision.state) == ("mock", None)


async def test_an_unknown_program_is_said_to_be_so(database: Database) -> None:
    """`get` raises what the client sees; nothing has revisions or moves."""
    program_id = IDS.new()
    async with database.transaction() as tx:
        with pytest.raises(ProgramNotFoundError, match=str(program_id)):
            await tx.programs.get(program_id)
        assert await tx.programs.list_revisions(program_id) == []
        assert await tx.programs.mark(program_id, ProgramStatus.ARCHIVED) is None


async def test_revisions_are_listed_newest_first(database: Database) -> None:
    """The revisions of one program come in falling order, without those of others."""
    async with database.transaction() as tx:
        program, _other = await a_program(tx), await a_program(tx)
        (first,) = await tx.programs.list_revisions(program.id)
        for revision in (3, 2):
            values = {"adapter": "mock", "config": {}, "created_at": first.created_at}
            statement = insert(ProgramRevision).values(
                program_id=program.id, revision=revision, **values
            )
            await tx.programs._session.execute(statement)
        found = await tx.programs.list_revisions(program.id)
    assert [revision.revision for revision in found] == [3, 2, 1]


@pytest.mark.parametrize("status", [s for s in ProgramStatus if s is not ProgramStatus.ARCHIVED])
async def test_a_name_is_taken_while_its_program_lives(
    database: Database, status: ProgramStatus
) -> None:
    """A second program of the name is refused, whatever the first is, and nothing is added."""
    async with database.transaction() as tx:
        await a_program_in(tx, status, name="one")
    with pytest.raises(NameTakenError, match="Another program is named one"):
        async with database.transaction() as tx:
            await a_program(tx, name="one")
    async with database.transaction() as tx:
        assert len((await tx.programs.list_page(Page())).items) == 1


async def test_an_archived_program_frees_its_name(database: Database) -> None:
    """Any number of archived programs may have the name of one that lives."""
    for _ in range(3):
        async with database.transaction() as tx:
            await a_program_in(tx, ProgramStatus.ARCHIVED, name="one")
    async with database.transaction() as tx:
        await a_program(tx, name="one")
        assert len((await tx.programs.list_page(Page(), name="one")).items) == 4


async def test_of_many_who_take_a_name_at_once_one_gets_it(database: Database) -> None:
    """A race for a name has one winner; the others are told that it is taken."""
    async with database.transaction() as tx:
        signature = await a_signature(tx)

    async def take() -> Program:
        async with database.transaction() as tx:
            return await a_program(tx, name="one", signature_id=signature.id)

    ends = await asyncio.gather(*(take() for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(end, Program) for end in ends) == 1
    assert sum(isinstance(end, NameTakenError) for end in ends) == 19


async def test_another_clash_is_no_taken_name(database: Database) -> None:
    """A program on an unknown signature is a fault of the caller, not a taken name."""
    with pytest.raises(IntegrityError, match="fk_programs_signature_id"):
        async with database.transaction() as tx:
            await a_program(tx, signature_id=IDS.new())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(targets=st.lists(st.sampled_from(ProgramStatus), max_size=12))
async def test_a_program_moves_as_the_table_says(
    database: Database, targets: list[ProgramStatus]
) -> None:
    """Whatever is asked in whatever order, only moves of the table are made."""
    async with database.transaction() as tx:
        program = await a_program(tx)
    status = ProgramStatus.DRAFT
    for target in targets:
        async with database.transaction() as tx:
            moved = await tx.programs.mark(program.id, target, error=f"to {target}")
        assert (moved is not None) == (target in PROGRAM_MOVES[status])
        if moved is not None:
            status = target
            assert (moved.status, moved.error) == (target, f"to {target}")
    async with database.transaction() as tx:
        assert (await tx.programs.get(program.id)).status == status


async def test_a_move_leaves_no_old_error(database: Database) -> None:
    """The error of a refused preparation is gone with the next move."""
    async with database.transaction() as tx:
        program = await a_program_in(tx, ProgramStatus.INITIALIZING)
        failed = await tx.programs.mark(program.id, ProgramStatus.ERROR, error="no")
        assert failed is not None
        assert failed.error == "no"
        again = await tx.programs.mark(program.id, ProgramStatus.INITIALIZING)
        assert again is not None
        assert again.error is None
        assert again.updated_at >= again.created_at


async def test_of_many_moves_at_once_one_is_made(database: Database) -> None:
    """A race for a move has one winner."""
    async with database.transaction() as tx:
        program = await a_program(tx)

    async def begin() -> Program | None:
        async with database.transaction() as tx:
            return await tx.programs.mark(program.id, ProgramStatus.INITIALIZING)

    moves = await asyncio.gather(*(begin() for _ in range(20)))
    assert sum(move is not None for move in moves) == 1


async def test_executions_at_once_are_all_counted(database: Database) -> None:
    """Parallel counts lose nothing, and touch no other program."""
    async with database.transaction() as tx:
        program, other = await a_program(tx), await a_program(tx)

    async def count() -> None:
        async with database.transaction() as tx:
            await tx.programs.count_executions([program.id, program.id])

    await asyncio.gather(*(count() for _ in range(20)))
    async with database.transaction() as tx:
        counted, untouched = await tx.programs.get(program.id), await tx.programs.get(other.id)
    assert counted.execution_count == 40
    assert counted.last_executed_at is not None
    assert counted.last_executed_at > counted.created_at
    assert counted.updated_at == counted.created_at
    assert (untouched.execution_count, untouched.last_executed_at) == (0, None)


async def test_programs_are_listed_by_name_status_and_signature(database: Database) -> None:
    """Each filter narrows the list, and all narrow it together."""

    async def names(tx: Transaction, **filters: object) -> list[str]:
        page = await tx.programs.list_page(Page(), **filters)  # type: ignore[arg-type]
        return sorted(program.name for program in page.items)

    async with database.transaction() as tx:
        one = await a_program(tx, name="one")
        two = await a_program_in(tx, ProgramStatus.READY, name="two")
        await a_program_in(tx, ProgramStatus.READY, name="three", signature_id=one.signature_id)
        assert await names(tx) == ["one", "three", "two"]
        assert await names(tx, name="one") == ["one"]
        assert await names(tx, status=ProgramStatus.READY) == ["three", "two"]
        assert await names(tx, signature_id=one.signature_id) == ["one", "three"]
        assert await names(tx, status=ProgramStatus.READY, signature_id=two.signature_id) == ["two"]
        assert await names(tx, name="one", status=ProgramStatus.READY) == []
