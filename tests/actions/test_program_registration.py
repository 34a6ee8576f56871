"""Registrations of programs."""

import asyncio
import uuid
from typing import Any

import pytest

from app.actions.program_initialization import ProgramInitialization
from app.actions.program_preparation import ProgramPreparation
from app.actions.program_registration import ProgramRegistration, ProgramRegistrationInput
from app.actions.program_states import ProgramStates
from app.adapters.errors import AdapterError, ErrorType
from app.adapters.registry import AdapterRegistry
from app.database import Database
from app.errors import (
    InvalidRequestError,
    NameTakenError,
    SignatureDeprecatedError,
    SignatureNotFoundError,
)
from app.models import Program
from app.models.states import ProgramStatus, SignatureStatus
from app.policies.shield import Shield
from app.stores.pages import Page
from tests.support.adapters import ScriptedAdapter
from tests.support.factories import a_catalogue, a_program, a_signature, new_ids


def _registration(
    database: Database, adapter: ScriptedAdapter | None = None
) -> ProgramRegistration:
    adapters = AdapterRegistry([adapter or ScriptedAdapter()])
    preparation, states = ProgramPreparation(adapters), ProgramStates(adapters)
    initialization = ProgramInitialization(database, a_catalogue(database), preparation, Shield())
    return ProgramRegistration(database, new_ids(), adapters, states, initialization)


async def _wanted(database: Database, **members: Any) -> ProgramRegistrationInput:
    signature = await a_signature(database)
    values = {"name": "answerer", "signature_id": signature.id, "module": "predict"}
    return ProgramRegistrationInput(**{**values, "adapter": "scripted", **members})


async def _programs(database: Database) -> list[Program]:
    async with database.transaction() as tx:
        return list((await tx.programs.list_page(Page())).items)


async def test_a_program_is_stored_and_prepared(database: Database) -> None:
    """Everything declared is kept, as the first revision, and the adapter holds it."""
    adapter = ScriptedAdapter()
    wanted = await _wanted(
        database,
        config={"temperature": 0},
        description="It answers.",
        metadata={"team": "a"},
        retention={"completed_days": 1},
    )
    program = await _registration(database, adapter)(wanted)
    assert (program.status, program.revision) == ("ready", 1)
    assert (program.name, program.module, program.adapter) == ("answerer", "predict", "scripted")
    assert program.signature_id == wanted.signature_id
    assert program.config == {"temperature": 0}
    assert (program.description, program.metadata_) == ("It answers.", {"team": "a"})
    assert program.retention == {"completed_days": 1}
    assert (program.execution_count, program.last_executed_at) == (0, None)
    assert adapter.programs[program.id].config == {"temperature": 0}
    async with database.transaction() as tx:
        (revision,) = await tx.programs.list_revisions(program.id)
    assert (revision.revision, revision.config) == (1, {"temperature": 0})


async def test_a_program_may_stay_a_draft(database: Database) -> None:
    """With `initialize` false the adapter is not asked."""
    adapter = ScriptedAdapter()
    program = await _registration(database, adapter)(await _wanted(database, initialize=False))
    assert program.status == "draft"
    assert adapter.programs == {}


async def test_a_program_that_its_adapter_refuses_is_stored_in_error(database: Database) -> None:
    """It is registered all the same, and says why it cannot run."""
    adapter = ScriptedAdapter(preparation=AdapterError(ErrorType.INVALID_REQUEST, "no LM"))
    program = await _registration(database, adapter)(await _wanted(database))
    assert (program.status, program.error) == ("error", "no LM")


async def test_an_unknown_adapter_is_refused_by_name(database: Database) -> None:
    """The fault names the adapters that there are; nothing is stored."""
    wanted = await _wanted(database, adapter="departed")
    with pytest.raises(InvalidRequestError) as refused:
        await _registration(database)(wanted)
    (fault,) = refused.value.faults
    assert (fault.path, fault.expected, fault.received) == ("/adapter", "scripted", "departed")
    assert await _programs(database) == []


async def test_an_unknown_signature_is_not_found(database: Database) -> None:
    """A program needs a signature that is there."""
    wanted = await _wanted(database, signature_id=uuid.uuid4())
    with pytest.raises(SignatureNotFoundError):
        await _registration(database)(wanted)


async def test_a_deprecated_signature_takes_no_new_program(database: Database) -> None:
    """The refusal names the version."""
    wanted = await _wanted(database)
    async with database.transaction() as tx:
        signature = await tx.signatures.get(wanted.signature_id)
        signature.status = SignatureStatus.DEPRECATED
    with pytest.raises(SignatureDeprecatedError, match="answer_question version 1 is deprecated"):
        await _registration(database)(wanted)
    assert await _programs(database) == []


async def test_a_name_in_use_is_taken(database: Database) -> None:
    """Two programs that are not archived cannot share a name."""
    await a_program(database, status=ProgramStatus.ERROR)
    with pytest.raises(NameTakenError, match="answerer"):
        await _registration(database)(await _wanted(database))
    assert len(await _programs(database)) == 1


async def test_the_name_of_an_archived_program_is_free(database: Database) -> None:
    """What is retired does not keep its name."""
    await a_program(database, status=ProgramStatus.ARCHIVED)
    program = await _registration(database)(await _wanted(database))
    assert program.status == "ready"


async def test_of_ten_registrations_of_one_name_one_wins(database: Database) -> None:
    """The others are told that the name is taken."""
    wanted = await _wanted(database)
    register = _registration(database)
    ended = await asyncio.gather(*(register(wanted) for _ in range(10)), return_exceptions=True)
    assert sum(isinstance(one, Program) for one in ended) == 1
    assert sum(isinstance(one, NameTakenError) for one in ended) == 9
