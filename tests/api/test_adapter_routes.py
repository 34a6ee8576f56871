"""The routes of adapters and of language models."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from app.main import create_app
from app.runtime import Runtime, open_runtime
from app.settings import AdapterSettings, LMSettings, Settings
from tests.support.factories import post_execution, post_program
from tests.support.wait import wait_until_so

REQUIRED = [
    "create_program",
    "execute_program",
    "list_programs",
    "delete_program",
    "get_program_info",
    "validate_signature",
    "health_check",
    "get_stats",
    "cleanup",
]
CLOSED = {"state": "closed", "failures": 0, "opens": 0, "retry_at": None}
FAILING = {"error": {"type": "backend_error"}}
FRAIL = {"kind": "mock", "max_concurrency": 3, "breaker": {"failures": 2, "open_ms": 60_000}}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With a mock that has a breaker, and an LM whose address and key are nobody's business."""
    lm = LMSettings(
        model="openai/small", api_base="http://127.0.0.1:9/v1", api_key=SecretStr("sk-secret")
    )
    frail = AdapterSettings.model_validate(FRAIL)
    safe = AdapterSettings.model_validate({"kind": "failover", "members": ["frail", "mock"]})
    adapters = {"frail": frail, "safe": safe}
    return settings.model_copy(update={"adapters": adapters, "lms": {"main": lm}})


@pytest.fixture
async def client(settings: Settings, runtime: Runtime) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application with these settings."""
    transport = httpx.ASGITransport(create_app(settings, runtime), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://dspatch") as client:
        yield client


async def _open(client: httpx.AsyncClient) -> dict[str, Any]:
    """Open the breaker of the frail adapter; give the program that fails."""
    program = await post_program(client, FAILING, adapter="frail")
    for _ in range(2):
        failed = await post_execution(client, program, options={"max_retries": 0})
        assert failed.status_code == 502
    return program


async def test_lists_the_adapters_of_the_settings(client: httpx.AsyncClient) -> None:
    """By name, each as it stands; the built-in ones are there unnamed."""
    items = (await client.get("/v1/adapters")).json()["items"]
    assert [(item["name"], item["kind"]) for item in items] == [
        ("dspy", "dspy"),
        ("frail", "mock"),
        ("mock", "mock"),
        ("safe", "failover"),
        ("worker", "worker"),
    ]
    dspy, frail, _, safe, _ = items
    assert frail["capabilities"] == REQUIRED
    assert dspy["capabilities"] == [*REQUIRED, "convert_signature", "module_shape", "warm_up"]
    assert [item["breaker"] for item in items] == [CLOSED] * 5
    assert [item["in_flight"] for item in items] == [0] * 5
    assert frail["limits"] == {"max_concurrency": 3, "max_wait_ms": 10_000}
    assert dspy["limits"] == {"max_concurrency": None, "max_wait_ms": 10_000}
    assert safe["members"] == ["frail", "mock"]
    assert "members" not in frail
    assert (await client.get("/v1/adapters/frail")).json() == frail


async def test_adapters_are_checked_once_when_the_process_is_warm(
    client: httpx.AsyncClient,
) -> None:
    """So that their status is known without a call."""

    async def is_known() -> bool:
        return bool((await client.get("/v1/adapters/mock")).json()["status"] == "healthy")

    await wait_until_so(is_known)


@pytest.mark.parametrize("path", ["", "/check", "/reset", "/programs"])
async def test_an_unknown_adapter_is_404(client: httpx.AsyncClient, path: str) -> None:
    """The problem says which there are."""
    method = "POST" if path in {"/check", "/reset"} else "GET"
    answer = await client.request(method, f"/v1/adapters/none{path}")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/adapter-not-found")
    assert answer.json()["detail"] == (
        "there is no adapter 'none'; there are: dspy, frail, mock, safe, worker."
    )


async def test_a_check_asks_the_back_end_now(client: httpx.AsyncClient, runtime: Runtime) -> None:
    """The answer says what it found, as the health report does."""
    answer = await client.post("/v1/adapters/frail/check")
    assert (answer.status_code, answer.json()) == (
        200,
        {"name": "frail", "status": "healthy", "latency_ms": 0.0, "error": None},
    )
    ill = await client.post("/v1/adapters/dspy/check")
    assert ill.json()["status"] == "error"
    assert ill.json()["error"].startswith("the server of the LM main does not answer")
    assert runtime.adapters.get("dspy").status == "error"


async def test_an_open_breaker_shows_and_is_reset(client: httpx.AsyncClient) -> None:
    """Executions are 503 with the time until the next probe; a reset lets them pass again."""
    program = await _open(client)
    shown = (await client.get("/v1/adapters/frail")).json()
    assert (shown["status"], shown["breaker"]["state"]) == ("error", "open")
    assert (shown["breaker"]["failures"], shown["breaker"]["opens"]) == (2, 1)
    assert shown["breaker"]["retry_at"].endswith("Z")
    assert 'dspatch_breaker_state{adapter="frail"} 2.0' in (await client.get("/metrics")).text

    refused = await post_execution(client, program, options={"max_retries": 0})
    error = refused.json()["error"]
    assert (refused.status_code, error["type"]) == (503, "overloaded")
    assert refused.json()["type"] == "/problems/backend-unavailable"
    assert 50 < error["retry_after"] <= 60
    assert error["context"] == {"breaker": "open"}
    assert 50 <= int(refused.headers["Retry-After"]) <= 60

    reset = await client.post("/v1/adapters/frail/reset")
    assert (reset.status_code, reset.json()["breaker"]) == (200, {**CLOSED, "opens": 1})
    failed = await post_execution(client, program, options={"max_retries": 0})
    assert failed.status_code == 502


async def test_a_combination_leaves_a_failing_member_alone(client: httpx.AsyncClient) -> None:
    """The breaker of the member opens; the other one answers at once."""
    await _open(client)
    program = await post_program(client, adapter="safe", name="safe")
    answer = await post_execution(client, program)
    attempts = [
        (one["adapter"], (one["error"] or {}).get("type")) for one in answer.json()["attempts"]
    ]
    assert (answer.status_code, answer.json()["adapter"]) == (200, "mock")
    assert attempts == [("frail", "overloaded"), ("mock", None)]


async def test_a_mock_has_no_breaker_unless_it_is_given(client: httpx.AsyncClient) -> None:
    """Rehearsals of failures go on for as long as they are scripted."""
    program = await post_program(client, FAILING)
    for _ in range(7):
        failed = await post_execution(client, program, options={"max_retries": 0})
        assert failed.status_code == 502
    assert (await client.get("/v1/adapters/mock")).json()["breaker"]["state"] == "closed"


async def test_lists_what_an_adapter_holds(client: httpx.AsyncClient) -> None:
    """Newest first, in pages that neither skip nor repeat."""
    made = [await post_program(client, name=f"p{number}") for number in range(3)]
    expected = [
        {"program_id": one["program_id"], "revision": 1, "name": one["name"]}
        for one in reversed(made)
    ]
    path = "/v1/adapters/mock/programs"
    assert (await client.get(path)).json() == {"items": expected, "next_cursor": None}
    first = (await client.get(path, params={"limit": 2})).json()
    second = (await client.get(path, params={"cursor": first["next_cursor"]})).json()
    assert first["items"] + second["items"] == expected
    assert second["next_cursor"] is None
    assert (await client.get(path, params={"cursor": "x"})).status_code == 422


async def test_calls_in_flight_are_counted(client: httpx.AsyncClient) -> None:
    """While they run."""
    program = await post_program(client, {"latency_ms": 3_600_000})
    running = asyncio.create_task(post_execution(client, program))

    async def is_shown(in_flight: int) -> bool:
        return bool((await client.get("/v1/adapters/mock")).json()["in_flight"] == in_flight)

    await wait_until_so(lambda: is_shown(1))
    running.cancel()
    await wait_until_so(lambda: is_shown(0))


async def test_a_second_process_takes_its_part(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    """From its start on it asks no more than half; the limits themselves stay what they are."""
    async with open_runtime(settings) as second:
        app = create_app(settings, second)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://dspatch") as other:
            (lm,) = (await other.get("/v1/lms")).json()["items"]
    assert (lm["limits"]["max_concurrency"], lm["part"]["max_concurrency"]) == (64, 32)
    (first,) = (await client.get("/v1/lms")).json()["items"]
    assert first["part"]["max_concurrency"] in {32, 64}  # whether it has counted since


async def test_lists_the_language_models(client: httpx.AsyncClient) -> None:
    """Names, models and limits; nothing that only the operator may know."""
    answer = await client.get("/v1/lms")
    limits = {
        "max_concurrency": 64,
        "requests_per_minute": None,
        "tokens_per_minute": None,
        "interactive_share": 0.2,
        "max_wait_ms": 10_000,
        "timeout_ms": 600_000,
    }
    part = {"max_concurrency": 64, "requests_per_minute": None, "tokens_per_minute": None}
    assert answer.json() == {
        "items": [{"name": "main", "model": "openai/small", "limits": limits, "part": part}]
    }
    assert "127.0.0.1" not in answer.text
    assert "sk-secret" not in answer.text
