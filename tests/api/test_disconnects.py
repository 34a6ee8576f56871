"""Clients that go away while they are being served."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from starlette.types import Message

from app.adapters.base import ProgramCall, ProgramResult
from app.database import Database
from app.main import create_app
from app.models import Program
from app.runtime import Runtime
from app.settings import Settings
from tests.support.adapters import ScriptedAdapter
from tests.support.connection import Connection, a_scope
from tests.support.factories import QUESTION, a_program, an_action, records_of, the_record
from tests.support.wait import wait_until

BODY = json.dumps({"inputs": QUESTION}).encode()


def _scope(program: Program) -> dict[str, Any]:
    return a_scope("POST", f"/v1/programs/{program.id}/executions")


def _request(body: bytes, *, more_body: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more_body}


async def test_a_client_that_leaves_while_the_model_runs_cancels_the_execution(
    settings: Settings, runtime: Runtime, database: Database
) -> None:
    """The record is cancelled, and the server is left with an answer, not with a crash."""
    program = await a_program(database)

    async def for_ever(_: ProgramCall) -> ProgramResult:
        return await asyncio.Future()

    adapter = ScriptedAdapter(for_ever)
    app = create_app(settings, replace(runtime, execute_program=an_action(database, adapter)))
    parts = iter([_request(BODY[:9], more_body=True), _request(BODY[9:])])
    connection = Connection(parts)
    serving = asyncio.create_task(app(_scope(program), connection.receive, connection.send))
    await wait_until(lambda: bool(adapter.calls))
    connection.gone.set()
    await serving
    record = await the_record(database, program)
    assert (record.status, record.outcome) == ("cancelled", "cancelled")
    assert record.attempts[0]["error"]["type"] == "cancelled"
    assert connection.status == 409


async def test_a_server_that_stops_while_the_model_runs_cancels_the_execution(
    settings: Settings, runtime: Runtime, database: Database
) -> None:
    """A request that the server itself cancels leaves a cancelled record."""
    program = await a_program(database)

    async def for_ever(_: ProgramCall) -> ProgramResult:
        return await asyncio.Future()

    adapter = ScriptedAdapter(for_ever)
    app = create_app(settings, replace(runtime, execute_program=an_action(database, adapter)))
    connection = Connection(iter([_request(BODY)]))
    serving = asyncio.create_task(app(_scope(program), connection.receive, connection.send))
    await wait_until(lambda: bool(adapter.calls))
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert (await the_record(database, program)).status == "cancelled"


async def test_a_client_that_sends_on_is_listened_to(
    settings: Settings, runtime: Runtime, database: Database
) -> None:
    """What comes after the body is no farewell."""
    program = await a_program(database)
    go_on = asyncio.Event()

    async def on_demand(_: ProgramCall) -> ProgramResult:
        await go_on.wait()
        return ProgramResult({"answer": "a"}, "scripted")

    adapter = ScriptedAdapter(on_demand)
    app = create_app(settings, replace(runtime, execute_program=an_action(database, adapter)))
    connection = Connection(iter([_request(BODY), _request(b""), _request(b"")]))
    serving = asyncio.create_task(app(_scope(program), connection.receive, connection.send))
    await wait_until(lambda: bool(adapter.calls))
    go_on.set()
    await serving
    assert connection.status == 200
    assert (await the_record(database, program)).status == "completed"


@pytest.mark.parametrize("sent", range(0, len(BODY), 7))
async def test_a_client_that_leaves_before_its_body_has_ended_runs_nothing(
    settings: Settings, runtime: Runtime, database: Database, sent: int
) -> None:
    """Half a request is no request, wherever it was cut, and no fault of the server."""
    program = await a_program(database)
    adapter = ScriptedAdapter()
    app = create_app(settings, replace(runtime, execute_program=an_action(database, adapter)))
    connection = Connection(iter([_request(BODY[:sent], more_body=True)]))
    connection.gone.set()
    await app(_scope(program), connection.receive, connection.send)
    assert connection.status == 400
    assert await records_of(database, program) == []
