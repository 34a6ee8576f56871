"""Errors as problem documents, and the pages that explain them."""

import logging
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from typing_extensions import override

from app.actions.execution_waiting import ExecutionEnds, ExecutionWaiting
from app.actions.program_execution import ProgramExecution, ProgramExecutionInput
from app.api.problems import problem_kinds
from app.main import create_app
from app.models import Execution
from app.policies.clock import SystemClock
from app.runtime import Runtime
from app.settings import Settings
from tests.support.factories import a_narrow_database, post_execution, post_program

MEDIA_TYPE = "application/problem+json"
UNKNOWN = "01a20bcf-7cd6-7e11-94d8-0a03c84e20df"


def _client(app: FastAPI) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://dspatch")


async def test_a_problem_has_the_members_of_rfc_9457(client: httpx.AsyncClient) -> None:
    """Its media type, its status twice, its type's address, and the request's id as instance."""
    answer = await client.get(f"/v1/programs/{UNKNOWN}", headers={"X-Request-ID": "r-1"})
    assert answer.headers["Content-Type"] == MEDIA_TYPE
    problem = answer.json()
    assert list(problem) == ["type", "title", "status", "detail", "instance"]
    assert (problem["status"], problem["instance"]) == (answer.status_code, "r-1")
    assert (problem["type"], problem["title"]) == ("/problems/program-not-found", "No such program")


@pytest.mark.parametrize("slug", sorted(problem_kinds()))
async def test_every_type_of_problem_has_its_page(client: httpx.AsyncClient, slug: str) -> None:
    """In Markdown: the title, the status, and what it means."""
    page = await client.get(f"/problems/{slug}")
    kind = problem_kinds()[slug]
    assert page.status_code == 200
    assert page.headers["Content-Type"] == "text/markdown; charset=utf-8"
    assert page.text.startswith(f"# {kind.title}\n\nHTTP {kind.status}. ")


async def test_the_types_of_the_contract_are_there() -> None:
    """The names that clients compare with."""
    assert set(problem_kinds()) >= {
        "invalid-request",
        "invalid-inputs",
        "invalid-transition",
        "program-not-ready",
        "name-taken",
        "execution-timed-out",
        "backend-unavailable",
        "execution-failed",
        "execution-cancelled",
        "not-found",
        "method-not-allowed",
    }


@pytest.mark.parametrize(
    "path", ["/nothing", "/v1", "/v1/program", "/problems/wat", "/problems/%00", "/%ff", "//"]
)
async def test_an_address_that_is_none_is_404(client: httpx.AsyncClient, path: str) -> None:
    """It is a problem like any other, and its type has a page."""
    answer = await client.get(path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, MEDIA_TYPE)
    assert answer.json()["type"] == "/problems/not-found"
    assert (await client.get(answer.json()["type"])).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/signatures", "GET, POST"),
        ("PUT", "/v1/programs", "GET, POST"),
        ("PUT", "/v1/signatures/validate", "POST"),
        ("GET", "/v1/signatures/validate", "POST"),
        ("POST", "/v1/executions", "GET"),
        ("DELETE", f"/v1/executions/{UNKNOWN}", "GET"),
        ("GET", f"/v1/programs/{UNKNOWN}/executions", "POST"),
        ("GET", f"/v1/programs/{UNKNOWN}/initialize", "POST"),
        ("OPTIONS", f"/v1/programs/{UNKNOWN}/revisions", "GET"),
        ("POST", "/livez", "GET"),
        ("POST", "/problems/not-found", "GET"),
        ("POST", "/openapi.json", "GET, HEAD"),
        ("WAT", "/v1/programs", "GET, POST"),
    ],
)
async def test_a_method_that_an_address_does_not_know_is_405(
    client: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    """`Allow` lists every method of the address, over all of its routes."""
    answer = await client.request(method, path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (405, MEDIA_TYPE)
    assert answer.headers["Allow"] == allowed
    assert answer.json()["type"] == "/problems/method-not-allowed"


class _Broken(ProgramExecution):
    """Executes nothing."""

    def __init__(self) -> None:
        pass

    @override
    async def __call__(self, wanted: ProgramExecutionInput) -> Execution:
        message = f"a secret of {wanted.program_id}"
        raise RuntimeError(message)


async def test_a_bug_is_500_without_a_word_of_it(
    client: httpx.AsyncClient, settings: Settings, runtime: Runtime
) -> None:
    """The client gets the request's id, by which the log has the trace."""
    program = await post_program(client)
    async with _client(create_app(settings, replace(runtime, execute_program=_Broken()))) as broken:
        answer = await post_execution(broken, program)
    assert (answer.status_code, answer.headers["Content-Type"]) == (500, MEDIA_TYPE)
    assert "secret" not in answer.text
    assert answer.json()["instance"] == answer.headers["X-Request-ID"]
    assert (await client.get(answer.json()["type"])).status_code == 200


async def test_a_bug_climbs_to_the_server_once(
    client: httpx.AsyncClient,
    settings: Settings,
    runtime: Runtime,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The server logs what it catches; nobody else does."""
    program = await post_program(client)
    app = create_app(settings, replace(runtime, execute_program=_Broken()))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://dspatch") as broken:
        with pytest.raises(RuntimeError, match="a secret"):
            await post_execution(broken, program)
    assert [line for line in caplog.records if line.levelno >= logging.ERROR] == []


@pytest.fixture
async def starved(settings: Settings, runtime: Runtime) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application whose database gives no connection."""
    async with a_narrow_database(settings) as narrow, narrow._engine.connect():
        clock = SystemClock()
        waiting = ExecutionWaiting(narrow, ExecutionEnds(clock), clock)
        starving = replace(runtime, database=narrow, wait_for_execution=waiting)
        async with _client(create_app(settings, starving)) as client:
            yield client


@pytest.mark.parametrize("path", ["/v1/signatures", "/v1/programs", f"/v1/executions/{UNKNOWN}"])
async def test_a_database_that_is_away_is_503_with_retry_after(
    starved: httpx.AsyncClient, path: str
) -> None:
    """The wait for a connection is bounded, and the client is told when to come again."""
    answer = await starved.get(path)
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/database-unavailable")
    assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize(("status", "given"), [(404, 404), (418, 400)])
async def test_what_the_framework_refuses_is_a_problem_too(
    settings: Settings, runtime: Runtime, status: int, given: int
) -> None:
    """A refusal that the house has no word for is a request that cannot be read."""
    app = create_app(settings, runtime)

    @app.get("/refused")
    async def refused() -> None:
        raise HTTPException(status, "no")

    async with _client(app) as client:
        answer = await client.get("/refused")
    assert (answer.status_code, answer.headers["Content-Type"]) == (given, MEDIA_TYPE)
    assert answer.json()["detail"] == "no: /refused"
