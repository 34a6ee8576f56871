"""What the figures say of what happened over HTTP."""

import re
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from app.api.observation import ObservationMiddleware
from app.main import create_app
from app.runtime import Runtime
from app.settings import Settings
from tests.support.factories import post_execution, post_program


async def _figures(client: httpx.AsyncClient) -> dict[str, float]:
    page = (await client.get("/metrics")).text
    lines = [line.rpartition(" ") for line in page.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


async def test_an_execution_is_found_in_the_figures(client: httpx.AsyncClient) -> None:
    """By its program, its adapter, its outcome, its attempts, and the route that it came by."""
    program = await post_program(client, {"error": {"type": "overloaded", "times": 1}})
    failing = await post_program(client, {"error": {"type": "unsupported"}}, name="failing")
    await post_execution(client, program, options={"retry_delay": 0})
    await post_execution(client, failing)
    found = await _figures(client)
    ended = 'dspatch_executions_total{adapter="mock",outcome='
    assert found[ended + '"success",program="answerer"}'] == 1
    assert found[ended + '"execution_error",program="failing"}'] == 1
    attempts = 'dspatch_attempts_total{adapter="mock",error_type='
    assert found[attempts + '"none"}'] == 1
    assert found[attempts + '"overloaded"}'] == 1
    assert found[attempts + '"unsupported"}'] == 1
    route = 'route="/v1/programs/{program_id}/executions"'
    requests = "dspatch_http_requests_total"
    assert found[f'{requests}{{method="POST",{route},status="200"}}'] == 1
    assert found[f'{requests}{{method="POST",{route},status="502"}}'] == 1
    assert found[f"dspatch_http_request_duration_seconds_count{{{route}}}"] == 2


async def test_routes_are_counted_by_their_template(client: httpx.AsyncClient) -> None:
    """What no route takes is counted together, so that addresses make no series."""
    for path in ("/nowhere/1", "/nowhere/2", "/v1/programs/nonsense", "/livez"):
        await client.get(path)
    await client.delete("/livez")
    found = await _figures(client)
    counted = {
        name: value for name, value in found.items() if name.startswith("dspatch_http_requests")
    }
    name = "dspatch_http_requests_total"
    assert counted == {
        f'{name}{{method="GET",route="unmatched",status="404"}}': 2,
        f'{name}{{method="GET",route="/v1/programs/{{program_id}}",status="422"}}': 1,
        f'{name}{{method="GET",route="/livez",status="200"}}': 1,
        f'{name}{{method="DELETE",route="/livez",status="405"}}': 1,
    }


async def test_the_pool_adds_up_to_its_size(client: httpx.AsyncClient, settings: Settings) -> None:
    """Connections in use, idle, and not opened yet."""
    await client.get("/readyz")
    found = await _figures(client)
    states = {
        name: value for name, value in found.items() if name.startswith("dspatch_pool_connections")
    }
    assert len(states) == 3
    assert sum(states.values()) == settings.database.pool_size
    assert states['dspatch_pool_connections{state="idle"}'] >= 1
    assert found["dspatch_event_loop_lag_seconds"] >= 0


async def test_both_formats_are_served(client: httpx.AsyncClient) -> None:
    """OpenMetrics on request."""
    plain = await client.get("/metrics")
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    answer = await client.get("/metrics", headers=accept)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


async def test_calls_of_the_api_leave_a_line(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """With method, route, status and duration; probes and figures leave none."""
    caplog.set_level("INFO")
    for path in ("/v1/programs", "/livez", "/metrics"):
        await client.get(path)
    lines = [one for one in caplog.records if one.name == "app.api.observation"]
    assert [line.getMessage() for line in lines] == ["GET /v1/programs 200"]
    fields: dict[str, Any] = lines[0].__dict__["fields"]
    assert fields.pop("duration_ms") > 0
    assert fields == {"method": "GET", "route": "/v1/programs", "status": 200}


async def test_a_request_that_breaks_off_counts_as_a_fault(
    settings: Settings, runtime: Runtime
) -> None:
    """An application that fails before it answers is a 500 in the figures."""

    async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise RuntimeError

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = create_app(settings, runtime)
        await ObservationMiddleware(broken)(scope, receive, send)

    transport = httpx.ASGITransport(call, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://dspatch") as client:
        assert (await client.get("/x")).status_code == 500
    page, _ = runtime.metrics.page("")
    assert re.search(rb'route="unmatched",status="500"} 1', page)
