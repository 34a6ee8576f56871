"""A model that is away, and comes back: who is called meanwhile, and what clients are told."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.database import Database
from app.settings import AdapterSettings, LMSettings, Settings
from tests.support import model_server
from tests.support.application import a_client_on
from tests.support.factories import post_execution, program_body
from tests.support.model_server import ModelServer
from tests.support.wait import wait_until, wait_until_so

FAILURES = 3
OPEN_MS = 60_000
ONCE = {"max_retries": 0}


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    """A model server of the test's own."""
    async with ModelServer() as running:
        yield running


@pytest.fixture
def open_ms() -> int:
    """How long the breaker stays open: longer than any test."""
    return OPEN_MS


@pytest.fixture
async def client(
    settings: Settings,
    database: Database,  # noqa: ARG001 - emptied after us
    server: ModelServer,
    open_ms: int,
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application on the model, with a breaker of little patience."""
    lm = LMSettings.model_validate({"model": "openai/small", "api_base": server.base_url})
    breaker = {"failures": FAILURES, "open_ms": open_ms}
    dspy = AdapterSettings.model_validate({"kind": "dspy", "breaker": breaker})
    on_model = settings.model_copy(update={"lms": {"main": lm}, "adapters": {"dspy": dspy}})
    async with a_client_on(on_model) as client:
        yield client


@pytest.fixture
async def program(client: httpx.AsyncClient) -> dict[str, Any]:
    """A program on that adapter."""
    body = await program_body(client, adapter="dspy")
    return dict((await client.post("/v1/programs", json=body)).json())


async def _breaker(client: httpx.AsyncClient) -> dict[str, Any]:
    return dict((await client.get("/v1/adapters/dspy")).json()["breaker"])


@pytest.mark.parametrize(
    ("away", "status"),
    [
        (model_server.status(500), 502),
        (model_server.status(529), 503),
        (model_server.reset(), 503),
        (model_server.html(), 502),
    ],
    ids=["error", "overload", "reset", "page"],
)
async def test_a_model_that_is_away_is_left_alone(
    client: httpx.AsyncClient,
    program: dict[str, Any],
    server: ModelServer,
    away: model_server.Answer,
    status: int,
) -> None:
    """After the failures that the setting names nobody calls it, and clients are told when to."""
    server.always(away)
    answers = [await post_execution(client, program, options=ONCE) for _ in range(FAILURES + 5)]
    told = [answer.status_code for answer in answers]
    assert told == [status] * FAILURES + [503] * 5
    assert len(server.completions) == FAILURES
    for answer in answers[FAILURES:]:
        error = answer.json()["error"]
        assert (error["type"], error["context"]) == ("overloaded", {"breaker": "open"})
        assert 0 < error["retry_after"] <= OPEN_MS / 1_000
        assert 0 < int(answer.headers["Retry-After"]) <= OPEN_MS / 1_000
    assert ((await _breaker(client))["state"], (await _breaker(client))["opens"]) == ("open", 1)


@pytest.mark.parametrize("open_ms", [200])
async def test_one_call_tries_a_model_that_was_away(
    client: httpx.AsyncClient, program: dict[str, Any], server: ModelServer
) -> None:
    """Of many that come at once, however they end; when it answers, all are let through."""
    server.always(model_server.status(503))
    for _ in range(FAILURES):
        await post_execution(client, program, options=ONCE)
    gate = asyncio.Event()
    server.always(model_server.after(gate, model_server.well_formed()))

    async def is_half_open() -> bool:
        return bool((await _breaker(client))["state"] == "half_open")

    await wait_until_so(is_half_open)
    calls = [asyncio.create_task(post_execution(client, program, options=ONCE)) for _ in range(8)]
    await wait_until(lambda: sum(call.done() for call in calls) == 7)
    assert len(server.completions) == FAILURES + 1
    gate.set()
    statuses = [answer.status_code for answer in await asyncio.gather(*calls)]
    assert sorted(statuses) == [200] + [503] * 7
    assert (await _breaker(client))["state"] == "closed"
    answers = [await post_execution(client, program, options=ONCE) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3


async def test_a_model_that_hangs_is_left_alone_too(
    client: httpx.AsyncClient, program: dict[str, Any], server: ModelServer
) -> None:
    """Its timeouts count, since none of its answers ever took longer."""
    server.always(model_server.hang())
    short = {**ONCE, "timeout": 250}
    answers = [await post_execution(client, program, options=short) for _ in range(FAILURES + 1)]
    assert [answer.status_code for answer in answers] == [504] * FAILURES + [503]
    assert len(server.completions) == FAILURES


async def test_a_caller_in_a_hurry_does_not_close_a_model_to_others(
    client: httpx.AsyncClient, program: dict[str, Any], server: ModelServer
) -> None:
    """Timeouts shorter than the model's usual time say nothing of it."""
    gate = asyncio.Event()
    server.script(model_server.after(gate, model_server.well_formed()))
    usual = asyncio.create_task(post_execution(client, program, options=ONCE))
    await wait_until(lambda: server.in_flight == 1)
    server.script(*[model_server.hang()] * (FAILURES + 2))
    hurry = {**ONCE, "timeout": 5}
    for _ in range(2):
        assert (await post_execution(client, program, options=hurry)).status_code == 504
    gate.set()
    assert (await usual).status_code == 200
    for _ in range(FAILURES):
        assert (await post_execution(client, program, options=hurry)).status_code == 504
    assert (await _breaker(client))["state"] == "closed"
