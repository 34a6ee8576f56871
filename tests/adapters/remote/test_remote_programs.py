"""Programs on another Dspatch: found by names that are made of their ids, else registered."""

from dataclasses import replace
from typing import Any

import httpx
import pytest

from app.adapters.errors import AdapterError, ErrorType
from app.adapters.remote.adapter import RemoteAdapter
from tests.adapters import programs
from tests.adapters.programs import a_call
from tests.adapters.remote.stub import Stub, a_program, an_adapter, problem, raw, replies
from tests.support.clock import ManualClock

PROGRAMS, REGISTER = "GET /v1/programs", "POST /v1/programs"
SIGNATURES, DECLARE = "GET /v1/signatures", "POST /v1/signatures"
EXECUTIONS = "POST /v1/programs/p1/executions"
NOTHING = replies(200, {"items": []})


def some(*of: Any) -> Any:
    """Give a page."""
    return replies(200, {"items": list(of)})


def a_stub() -> Stub:
    """Give a Dspatch that knows no program yet."""
    stub = Stub()
    stub.on(PROGRAMS, NOTHING)
    stub.on(DECLARE, replies(201, {"signature_id": "s1"}))
    stub.on(REGISTER, replies(201, a_program()))
    return stub


async def refusal_of(adapter: RemoteAdapter, **program: Any) -> AdapterError:
    """Create a program that is refused; nothing is held then."""
    with pytest.raises(AdapterError) as caught:
        await adapter.create_program(programs.a_program(**program))
    assert list(await adapter.list_programs()) == []
    return caught.value


async def test_a_program_is_registered_with_its_signature() -> None:
    """What is not there is declared, under names that tell which program of ours it is."""
    stub = a_stub()
    program = programs.a_program(
        "a: integer = 3 -> b", config={"lm": "main"}, instructions="Go.", revision=4
    )
    await an_adapter(stub, adapter="dspy2").create_program(program)
    assert stub.body(DECLARE) == {
        "name": f"program.{program.program_id.hex}",
        "instructions": "Go.",
        "inputs": [
            {"name": "a", "type": "integer", "constraints": {}, "description": "", "default": 3}
        ],
        "outputs": [{"name": "b", "type": "string", "constraints": {}, "description": ""}],
    }
    assert stub.body(REGISTER) == {
        "name": f"triage.{program.program_id.hex}.r4",
        "signature_id": "s1",
        "module": "predict",
        "adapter": "dspy2",
        "config": {"lm": "main"},
        "state": None,
        "description": "triage, revision 4, of another Dspatch.",
    }


async def test_a_program_is_found_again_after_a_restart() -> None:
    """Nothing has to be remembered: the name is the same for every process."""
    stub, program = Stub(), programs.a_program()
    await an_adapter(stub).execute_program(a_call(program))
    name = f"triage.{program.program_id.hex}.r1"
    assert stub.sent(PROGRAMS)[0].url.params["name"] == name
    assert len(stub.requests) == 2


async def test_names_are_never_too_long() -> None:
    """A name of full length is cut, and stays unique by what follows."""
    stub, program = a_stub(), replace(programs.a_program(), name="n" * 128)
    await an_adapter(stub).create_program(program)
    name = stub.body(REGISTER)["name"]
    assert name == f"{'n' * 80}.{program.program_id.hex}.r1"
    assert len(name) <= 128


async def test_a_program_that_another_process_registers_is_waited_for() -> None:
    """Of two who register at once one is told that the name is taken, and waits."""
    stub, clock = a_stub(), ManualClock()
    stub.on(
        PROGRAMS,
        NOTHING,
        some(a_program("initializing")),
        some(a_program("initializing")),
        some(a_program()),
    )
    stub.on(REGISTER, problem(409, "name-taken"))
    await an_adapter(stub, clock).create_program(programs.a_program())
    assert clock.slept == [0.2, 0.2]


@pytest.mark.parametrize("status", ["draft", "error"])
async def test_a_program_that_is_not_ready_is_prepared_again(status: str) -> None:
    """What failed once may work now."""
    stub = Stub()
    stub.on(PROGRAMS, some(a_program("archived", program_id="p0"), a_program(status)))
    stub.on("POST /v1/programs/p1/initialize", replies(200, a_program()))
    await an_adapter(stub).create_program(programs.a_program())
    assert len(stub.sent("POST /v1/programs/p1/initialize")) == 1


async def test_a_program_that_cannot_run_there_is_unsupported() -> None:
    """The other Dspatch's reason is told."""
    stub = a_stub()
    stub.on(REGISTER, replies(201, a_program("error", error="config.lm names no LM")))
    stub.on("POST /v1/programs/p1/initialize", replies(200, a_program("error", error="no such LM")))
    failure = await refusal_of(an_adapter(stub))
    assert failure.type is ErrorType.UNSUPPORTED
    assert failure.message == "the remote Dspatch cannot run the program: no such LM"


async def test_what_is_refused_there_is_not_the_callers_fault() -> None:
    """A registration that is refused says that it cannot be done there, and why."""
    stub = a_stub()
    faults = [{"path": "/adapter", "code": "unknown", "message": "there is no adapter 'dspy'"}]
    stub.on(REGISTER, problem(422, "invalid-request", errors=faults))
    failure = await refusal_of(an_adapter(stub))
    assert failure.type is ErrorType.UNSUPPORTED
    assert "422: no luck; /adapter: there is no adapter 'dspy'" in failure.message
    stub.on(REGISTER, problem(403, "forbidden"))
    assert (await refusal_of(an_adapter(stub))).type is ErrorType.AUTHENTICATION


async def test_a_program_of_others_is_run_by_its_name() -> None:
    """With `remote_program` nothing is registered, and nothing retired."""
    stub = Stub()
    stub.on(SIGNATURES, NOTHING)
    adapter, program = an_adapter(stub), programs.a_program(config={"remote_program": "theirs"})
    await adapter.execute_program(a_call(program))
    assert stub.sent(PROGRAMS)[0].url.params["name"] == "theirs"
    assert await adapter.delete_program(program.program_id) is True
    assert len(stub.sent(PROGRAMS)) == 1


@pytest.mark.parametrize(
    ("name", "page", "error_type"),
    [
        ("none", NOTHING, ErrorType.PROGRAM_NOT_FOUND),
        (7, NOTHING, ErrorType.PROGRAM_NOT_FOUND),
        ("broken", some(a_program("error", error="no LM")), ErrorType.UNSUPPORTED),
        ("draft", some(a_program("draft")), ErrorType.UNSUPPORTED),
    ],
)
async def test_a_program_of_others_has_to_be_ready(
    name: Any, page: Any, error_type: ErrorType
) -> None:
    """One that is not there, or cannot run, is left as it is."""
    stub = Stub()
    stub.on(PROGRAMS, page)
    failure = await refusal_of(an_adapter(stub), config={"remote_program": name})
    assert failure.type is error_type


@pytest.mark.parametrize("gone", ["program-not-found", "program-not-ready"])
async def test_a_program_that_is_gone_is_registered_anew(gone: str) -> None:
    """Where the other Dspatch lost its programs they are declared again, and the call goes on."""
    stub = Stub()
    stub.on(PROGRAMS, some(a_program(program_id="p0")), NOTHING)
    stub.on(DECLARE, replies(200, {"signature_id": "s1"}))
    stub.on(REGISTER, replies(201, a_program()))
    stub.on("POST /v1/programs/p0/executions", problem(404, gone))
    result = await an_adapter(stub).execute_program(a_call())
    assert result.adapter == "eu"
    stub.on(EXECUTIONS, problem(404, gone))
    with pytest.raises(AdapterError) as caught:
        await an_adapter(stub).execute_program(a_call())
    assert caught.value.type is ErrorType.PROGRAM_NOT_FOUND


async def test_every_revision_is_retired() -> None:
    """A program that is deleted here is archived there, in all its revisions, once."""
    stub, program = Stub(), programs.a_program()
    stub.on(SIGNATURES, some({"signature_id": "s1"}))
    pages = [a_program(), a_program("error", program_id="p2"), a_program("archived")]
    stub.on(PROGRAMS, some(*pages), some(a_program("archived")))
    for name in ("p1", "p2"):
        stub.on(f"POST /v1/programs/{name}/archive", replies(200, a_program("archived")))
    adapter = an_adapter(stub)
    assert await adapter.delete_program(program.program_id) is True
    assert await adapter.delete_program(program.program_id) is False
    assert stub.sent(SIGNATURES)[0].url.params["name"] == f"program.{program.program_id.hex}"
    assert stub.sent(PROGRAMS)[0].url.params["signature_id"] == "s1"
    assert len(stub.sent("POST /v1/programs/p2/archive")) == 1


@pytest.mark.parametrize(
    ("ready", "listed", "error"),
    [
        (replies(200), NOTHING, None),
        (replies(503), NOTHING, "the remote Dspatch answers 503"),
        (
            raw(200, b"<html>"),
            replies(200, {}),
            "the remote Dspatch's answer lacks its form: items",
        ),
        (replies(200), problem(401, "unauthorized"), "the remote Dspatch answers 401: no luck"),
        (
            httpx.ConnectError("refused"),
            NOTHING,
            "the remote Dspatch could not be reached (ConnectError)",
        ),
    ],
)
async def test_health_is_readiness_and_a_key_that_is_known(
    ready: Any, listed: Any, error: str | None
) -> None:
    """It is well where the other is a Dspatch, is ready, and lets the key in."""
    stub = Stub()
    stub.on("GET /readyz", ready)
    stub.on(PROGRAMS, listed)
    health = await an_adapter(stub).health_check()
    assert (health.healthy, health.error) == (error is None, error)
