"""Preparations: where they leave a program, and why."""

import asyncio
import logging
import uuid

import pytest
from typing_extensions import override

from app.actions.program_initialization import ProgramInitialization
from app.actions.program_preparation import ProgramPreparation
from app.adapters.base import Adapter
from app.adapters.base import Program as AdapterProgram
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.registry import AdapterRegistry
from app.database import Database
from app.errors import InvalidTransitionError, ProgramNotFoundError
from app.models.states import ProgramStatus
from app.policies.shield import Shield
from tests.support.adapters import ScriptedAdapter
from tests.support.factories import a_catalogue, a_program, reloaded


def _initialization(
    database: Database, *adapters: Adapter, timeout_s: float = 60
) -> ProgramInitialization:
    preparation = ProgramPreparation(AdapterRegistry(adapters), timeout_s)
    return ProgramInitialization(database, a_catalogue(database), preparation, Shield())


class _Hanging(ScriptedAdapter):
    """An adapter whose preparations never end; `began` says that one is under way."""

    def __init__(self) -> None:
        super().__init__()
        self.began = asyncio.Event()

    @override
    async def create_program(self, program: AdapterProgram) -> None:
        self.began.set()
        await asyncio.Future()


async def test_a_program_that_its_adapter_takes_is_ready(database: Database) -> None:
    """The adapter holds the program, and its status says so."""
    program = await a_program(database, status=ProgramStatus.DRAFT)
    adapter = ScriptedAdapter()
    prepared = await _initialization(database, adapter)(program.id)
    assert (prepared.status, prepared.error) == ("ready", None)
    assert adapter.programs[program.id].signature.notation == ("question: string -> answer: string")
    assert (await reloaded(database, program)).status == "ready"


async def test_a_program_that_its_adapter_refuses_says_why(database: Database) -> None:
    """The status is `error`, with the adapter's own words."""
    program = await a_program(database, status=ProgramStatus.DRAFT)
    adapter = ScriptedAdapter(preparation=AdapterError(ErrorType.UNSUPPORTED, "no such module"))
    prepared = await _initialization(database, adapter)(program.id)
    assert (prepared.status, prepared.error) == ("error", "no such module")


async def test_a_program_in_error_may_be_prepared_again(database: Database) -> None:
    """Once its adapter takes it, the error is forgotten."""
    program = await a_program(database, status=ProgramStatus.ERROR, error="no such module")
    prepared = await _initialization(database, ScriptedAdapter())(program.id)
    assert (prepared.status, prepared.error) == ("ready", None)


async def test_a_ready_program_may_be_prepared_again(database: Database) -> None:
    """Preparing twice does no harm."""
    program = await a_program(database)
    prepared = await _initialization(database, ScriptedAdapter())(program.id)
    assert prepared.status == "ready"


async def test_a_program_whose_adapter_is_gone_says_so(database: Database) -> None:
    """An adapter that the settings no longer name is told by name."""
    program = await a_program(database, adapter="departed")
    prepared = await _initialization(database)(program.id)
    assert (prepared.status, prepared.error) == ("error", "There is no adapter 'departed'.")


async def test_an_adapter_that_breaks_leaves_an_error_and_a_trace(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """A plain exception is logged once; the program's error does not repeat its words."""
    program = await a_program(database, status=ProgramStatus.DRAFT)
    adapter = ScriptedAdapter(preparation=KeyError("secret"))
    prepared = await _initialization(database, adapter)(program.id)
    assert (prepared.status, prepared.error) == ("error", "The adapter failed: KeyError.")
    (logged,) = [line for line in caplog.records if line.levelno >= logging.ERROR]
    assert logged.exc_info is not None


async def test_a_preparation_that_hangs_is_ended(database: Database) -> None:
    """It gets its time and no more."""
    program = await a_program(database, status=ProgramStatus.DRAFT)
    prepared = await _initialization(database, _Hanging(), timeout_s=0.005)(program.id)
    assert (prepared.status, prepared.error) == ("error", "The adapter took over 0.005 s.")


async def test_an_interrupted_preparation_leaves_an_error(database: Database) -> None:
    """Whoever goes away leaves a program that can be prepared again."""
    program = await a_program(database, status=ProgramStatus.DRAFT)
    adapter = _Hanging()
    run = asyncio.create_task(_initialization(database, adapter)(program.id))
    await adapter.began.wait()
    assert (await reloaded(database, program)).status == "initializing"
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    program = await reloaded(database, program)
    assert (program.status, program.error) == ("error", "The preparation was interrupted.")


async def test_a_program_that_is_archived_meanwhile_stays_archived(database: Database) -> None:
    """The end of a preparation does not bring a retired program back."""
    program = await a_program(database, status=ProgramStatus.DRAFT)

    class Overtaken(ScriptedAdapter):
        @override
        async def create_program(self, program: AdapterProgram) -> None:
            async with database.transaction() as tx:
                await tx.programs.mark(program.program_id, ProgramStatus.ARCHIVED)

    prepared = await _initialization(database, Overtaken())(program.id)
    assert (prepared.status, prepared.error) == ("archived", None)


@pytest.mark.parametrize("status", [ProgramStatus.ARCHIVED, ProgramStatus.INITIALIZING])
async def test_a_program_in_another_status_is_refused(
    database: Database, status: ProgramStatus
) -> None:
    """An archived program, and one that is being prepared, are left alone."""
    program = await a_program(database, status=status)
    adapter = ScriptedAdapter()
    with pytest.raises(InvalidTransitionError, match=f"is {status} and cannot be initialized"):
        await _initialization(database, adapter)(program.id)
    assert adapter.programs == {}
    assert (await reloaded(database, program)).status == status


async def test_an_unknown_program_is_not_found(database: Database) -> None:
    """There is nothing to prepare."""
    with pytest.raises(ProgramNotFoundError):
        await _initialization(database)(uuid.uuid4())


async def test_of_two_preparations_at_once_one_is_done(database: Database) -> None:
    """The other is told that the program is being prepared."""
    program = await a_program(database, status=ProgramStatus.DRAFT)
    initialization = _initialization(database, ScriptedAdapter())
    ended = await asyncio.gather(
        *(initialization(program.id) for _ in range(2)), return_exceptions=True
    )
    assert (await reloaded(database, program)).status == "ready"
    refused = [one for one in ended if isinstance(one, BaseException)]
    assert all(isinstance(one, InvalidTransitionError) for one in refused)
    assert len(refused) <= 1
