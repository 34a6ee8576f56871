"""Changes of programs: what makes a revision, and what the program runs on meanwhile."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest
from typing_extensions import override

from app.actions.program_archiving import ProgramArchiving
from app.actions.program_change import ProgramChange, ProgramChangeInput
from app.actions.program_preparation import ProgramPreparation
from app.actions.program_restoration import ProgramRestoration
from app.adapters.base import Program as AdapterProgram
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.registry import AdapterRegistry
from app.database import Database
from app.errors import (
    InvalidRequestError,
    InvalidTransitionError,
    ProgramNotFoundError,
    RevisionNotFoundError,
)
from app.models import Program, ProgramRevision
from app.models.states import ProgramStatus
from tests.support.adapters import ScriptedAdapter, answer
from tests.support.factories import a_catalogue, a_program, a_run, an_action, reloaded

WARM = {"temperature": 1}


def _change(database: Database, *adapters: ScriptedAdapter) -> ProgramChange:
    registry = AdapterRegistry(adapters or [ScriptedAdapter()])
    return ProgramChange(database, a_catalogue(database), registry, ProgramPreparation(registry))


def _warm(program: Program) -> ProgramChangeInput:
    return ProgramChangeInput(program.id, setup={"config": WARM})


async def _revisions(database: Database, program: Program) -> Sequence[ProgramRevision]:
    async with database.transaction() as tx:
        return await tx.programs.list_revisions(program.id)


class _Overtaken(ScriptedAdapter):
    """An adapter that lets `meanwhile` happen while it prepares."""

    def __init__(self, meanwhile: Any) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    @override
    async def create_program(self, program: AdapterProgram) -> None:
        await self._meanwhile(program.program_id)
        await super().create_program(program)


async def test_another_config_is_a_new_revision(database: Database) -> None:
    """It is prepared on the adapter, and the old one is kept."""
    program, adapter = await a_program(database), ScriptedAdapter()
    changed = await _change(database, adapter)(_warm(program))
    assert (changed.revision, changed.status, changed.config) == (2, "ready", WARM)
    held = adapter.programs[program.id]
    assert (held.revision, held.config) == (2, WARM)
    assert [(one.revision, one.config) for one in await _revisions(database, program)] == [
        (2, WARM),
        (1, {}),
    ]
    after = await reloaded(database, program)
    assert (after.revision, after.status, after.config) == (2, "ready", WARM)


async def test_another_adapter_is_a_new_revision(database: Database) -> None:
    """It is prepared on the other one."""
    program, other = await a_program(database), ScriptedAdapter(name="other")
    change = _change(database, ScriptedAdapter(), other)
    changed = await change(ProgramChangeInput(program.id, setup={"adapter": "other"}))
    assert (changed.revision, changed.adapter) == (2, "other")
    assert other.programs[program.id].revision == 2


@pytest.mark.parametrize(
    ("details", "setup"),
    [
        ({}, {}),
        ({}, {"config": {}, "adapter": "scripted"}),
        ({"description": "New.", "retention": {"failed_days": 1}}, {}),
    ],
)
async def test_what_stays_the_same_makes_none(
    database: Database, details: dict[str, Any], setup: dict[str, Any]
) -> None:
    """Nor do words about the program; they are written all the same."""
    program, adapter = await a_program(database), ScriptedAdapter()
    change = _change(database, adapter)
    changed = await change(ProgramChangeInput(program.id, details, setup))
    assert (changed.revision, adapter.programs) == (1, {})
    after = await reloaded(database, program)
    assert {name: getattr(after, name) for name in details} == details


async def test_details_come_with_the_revision(database: Database) -> None:
    """One change writes both."""
    program = await a_program(database)
    wanted = ProgramChangeInput(program.id, {"description": "Warm."}, {"config": WARM})
    changed = await _change(database)(wanted)
    assert (changed.description, changed.revision) == ("Warm.", 2)


async def test_a_draft_stays_one(database: Database) -> None:
    """It has its new revision, and its adapter is not asked."""
    program, adapter = await a_program(database, status=ProgramStatus.DRAFT), ScriptedAdapter()
    changed = await _change(database, adapter)(_warm(program))
    assert (changed.revision, changed.status, adapter.programs) == (2, "draft", {})


async def test_a_revision_that_cannot_be_prepared_says_why(database: Database) -> None:
    """The program is in error, and a better revision brings it back."""
    program = await a_program(database)
    refusing = ScriptedAdapter(preparation=AdapterError(ErrorType.UNSUPPORTED, "too warm"))
    broken = await _change(database, refusing)(_warm(program))
    assert (broken.revision, broken.status, broken.error) == (2, "error", "too warm")
    mended = await _change(database)(ProgramChangeInput(program.id, setup={"config": {}}))
    assert (mended.revision, mended.status, mended.error) == (3, "ready", None)


async def test_the_program_runs_on_the_old_revision_meanwhile(database: Database) -> None:
    """No execution is refused while a new revision is prepared."""
    program, seen = await a_program(database), []

    async def run(_: UUID) -> None:
        execute = an_action(database, ScriptedAdapter(answer(answer="Paris")))
        seen.append(await execute(a_run(program)))

    changed = await _change(database, _Overtaken(run))(_warm(program))
    assert [(one.status, one.program_revision) for one in seen] == [("completed", 1)]
    assert changed.revision == 2


async def test_an_unknown_adapter_is_refused(database: Database) -> None:
    """The fault names it, and nothing has changed."""
    program = await a_program(database)
    with pytest.raises(InvalidRequestError) as refused:
        await _change(database)(ProgramChangeInput(program.id, setup={"adapter": "departed"}))
    assert [fault.path for fault in refused.value.faults] == ["/adapter"]
    assert len(await _revisions(database, program)) == 1


@pytest.mark.parametrize("status", [ProgramStatus.ARCHIVED, ProgramStatus.INITIALIZING])
async def test_a_program_in_another_status_is_left_alone(
    database: Database, status: ProgramStatus
) -> None:
    """Neither what is retired nor what is being prepared is changed."""
    program = await a_program(database, status=status)
    with pytest.raises(InvalidTransitionError, match=f"is {status} and cannot be changed"):
        await _change(database)(ProgramChangeInput(program.id, {"description": "New."}))
    assert (await reloaded(database, program)).description == ""


async def test_an_unknown_program_is_not_found(database: Database) -> None:
    """There is nothing to change."""
    with pytest.raises(ProgramNotFoundError):
        await _change(database)(ProgramChangeInput(uuid4()))


async def test_of_two_changes_at_once_none_is_lost(database: Database) -> None:
    """The one that comes second to its end is refused, and its number is not used again."""
    program = await a_program(database)

    async def other(_: UUID) -> None:
        await _change(database)(ProgramChangeInput(program.id, setup={"config": {"seed": 1}}))

    with pytest.raises(InvalidTransitionError, match="by another call meanwhile"):
        await _change(database, _Overtaken(other))(_warm(program))
    after = await reloaded(database, program)
    assert (after.revision, after.config, after.status) == (3, {"seed": 1}, "ready")
    again = await _change(database)(_warm(after))
    assert again.revision == 4


async def test_a_program_that_is_archived_meanwhile_stays_archived(database: Database) -> None:
    """A change does not bring it back."""
    program = await a_program(database)

    async def archive(program_id: UUID) -> None:
        await ProgramArchiving(database, AdapterRegistry([]))(program_id)

    with pytest.raises(InvalidTransitionError):
        await _change(database, _Overtaken(archive))(_warm(program))
    after = await reloaded(database, program)
    assert (after.status, after.revision) == ("archived", 1)


async def test_a_change_that_is_interrupted_changes_nothing(database: Database) -> None:
    """The program runs on as it was."""
    program, began = await a_program(database), asyncio.Event()

    async def hang(_: UUID) -> None:
        began.set()
        await asyncio.Future()

    run = asyncio.create_task(_change(database, _Overtaken(hang))(_warm(program)))
    await began.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    after = await reloaded(database, program)
    assert (after.status, after.revision, after.config) == ("ready", 1, {})


async def test_rolling_back_is_a_new_revision(database: Database) -> None:
    """Adapter, config and state are those of the old one, even where it is the current one."""
    program, adapter = await a_program(database), ScriptedAdapter()
    change = _change(database, adapter)
    restore = ProgramRestoration(database, change)
    await change(_warm(program))
    restored = await restore(program.id, 1)
    assert (restored.revision, restored.config, restored.status) == (3, {}, "ready")
    assert adapter.programs[program.id].revision == 3
    assert (await restore(program.id, 3)).revision == 4


async def test_rolling_back_to_an_adapter_that_is_gone_says_so(database: Database) -> None:
    """The program is in error, with the adapter's name."""
    program = await a_program(database, adapter="departed")
    restored = await ProgramRestoration(database, _change(database))(program.id, 1)
    assert (restored.status, restored.error) == ("error", "There is no adapter 'departed'.")


async def test_rolling_back_needs_a_revision(database: Database) -> None:
    """Of a program that is there."""
    program = await a_program(database)
    restore = ProgramRestoration(database, _change(database))
    with pytest.raises(RevisionNotFoundError, match="no revision 2"):
        await restore(program.id, 2)
    with pytest.raises(ProgramNotFoundError):
        await restore(uuid4(), 1)


async def test_an_archived_program_is_forgotten(database: Database) -> None:
    """Its adapter lets go of it."""
    program, adapter = await a_program(database), ScriptedAdapter()
    await _change(database, adapter)(_warm(program))
    archived = await ProgramArchiving(database, AdapterRegistry([adapter]))(program.id)
    assert (archived.status, adapter.programs) == ("archived", {})


async def test_an_adapter_that_cannot_forget_changes_nothing(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """The program is retired all the same, and the log says what is left."""

    class Clinging(ScriptedAdapter):
        @override
        async def delete_program(self, program_id: UUID) -> bool:
            raise AdapterError(ErrorType.CONNECTION_FAILED, "no way there")

    program = await a_program(database)
    archived = await ProgramArchiving(database, AdapterRegistry([Clinging()]))(program.id)
    assert archived.status == "archived"
    assert "no way there" in caplog.text


async def test_a_program_is_archived_once(database: Database) -> None:
    """A second time is refused, and so is what was never there."""
    archive = ProgramArchiving(database, AdapterRegistry([]))
    program = await a_program(database, status=ProgramStatus.ARCHIVED)
    with pytest.raises(InvalidTransitionError, match="archived already"):
        await archive(program.id)
    with pytest.raises(ProgramNotFoundError):
        await archive(uuid4())
