"""What stands on every answer: the request's id, where the time went, that records stay fresh."""

import json
import logging
import re
from uuid import UUID

import httpx
import pytest
from typing_extensions import override

from app.api.answer_headers import AnswerHeadersMiddleware
from app.telemetry.logs import JSONFormatter
from app.telemetry.masking import Mask
from tests.support.clock import ManualClock
from tests.support.factories import post_execution, post_program, signature_body

TIMING = re.compile(r"(\w+);dur=(\d+\.\d{3})")


@pytest.mark.parametrize("request_id", ["a", "A" * 200, "01J-x_.~!", '"quoted"', "{}"])
async def test_a_request_id_is_taken_and_given_back(
    client: httpx.AsyncClient, request_id: str
) -> None:
    """Printable characters without spaces, up to two hundred of them."""
    answer = await client.get("/livez", headers={"X-Request-ID": request_id})
    assert answer.headers["X-Request-ID"] == request_id


@pytest.mark.parametrize("garbage", ["", " ", "a b", "A" * 201, "é", "a\tb", "\x7f"])
async def test_a_request_id_that_is_none_is_replaced(
    client: httpx.AsyncClient, garbage: str
) -> None:
    """Nothing that could forge a line of the log comes in."""
    answer = await client.get("/livez", headers={b"X-Request-ID": garbage.encode()})
    assert UUID(answer.headers["X-Request-ID"]).version == 4


async def test_every_request_without_an_id_gets_one_of_its_own(client: httpx.AsyncClient) -> None:
    """Two requests, two ids."""
    ids = {(await client.get("/livez")).headers["X-Request-ID"] for _ in range(2)}
    assert len(ids) == 2


async def test_the_request_id_is_recorded_and_logged(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """The execution, the problem and the log line carry the same id."""
    lines = []

    class Listener(logging.Handler):
        @override
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(json.loads(JSONFormatter(Mask()).format(record)))

    caplog.set_level(logging.INFO)
    logger = logging.getLogger("app.actions")
    listener = Listener()
    logger.addHandler(listener)
    client.headers["X-Request-ID"] = "r-1"
    program = await post_program(client, {"error": {"type": "unsupported"}})
    answer = await post_execution(client, program)
    logger.removeHandler(listener)
    record = await client.get(f"/v1/executions/{answer.json()['execution_id']}")
    assert answer.json()["instance"] == "r-1" == record.json()["request_id"]
    (line,) = [line for line in lines if "ended" in line["message"]]
    assert line["request_id"] == "r-1"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/programs"),
        ("POST", "/v1/signatures"),
        ("GET", "/v1/executions/01a20bd4-4890-7a70-9492-0180f48e335b"),
        ("GET", "/v1/executions?limit=x"),
        ("DELETE", "/v1/programs"),
    ],
)
async def test_records_are_not_stored_by_caches(
    client: httpx.AsyncClient, method: str, path: str
) -> None:
    """Every answer under `/v1` says so, problems too."""
    answer = await client.request(method, path, json=signature_body())
    assert answer.headers["Cache-Control"] == "no-store"


async def test_pages_that_do_not_change_may_be_stored(client: httpx.AsyncClient) -> None:
    """The document and the pages of problems say nothing against it."""
    for path in ("/openapi.json", "/problems/not-found"):
        assert "Cache-Control" not in (await client.get(path)).headers


async def test_every_answer_says_where_the_time_went(client: httpx.AsyncClient) -> None:
    """The whole on every answer; the adapter's part, all attempts together, and the database's."""
    script = {"latency_ms": 3, "outputs": {"answer": "a"}}
    script |= {"error": {"type": "overloaded", "times": 1}}
    program = await post_program(client, script)
    answer = await post_execution(client, program, options={"retry_delay": 0})
    timing = dict(TIMING.findall(answer.headers["Server-Timing"]))
    assert list(timing)[-1] == "total"
    spent = sum(attempt["duration_ms"] for attempt in answer.json()["attempts"])
    assert float(timing["adapter"]) == pytest.approx(spent, abs=0.01)
    assert float(timing["adapter"]) + float(timing["database"]) < float(timing["total"])
    probe = await client.get("/livez")
    assert "adapter" not in probe.headers["Server-Timing"]


async def test_a_run_that_fails_says_where_the_time_went(client: httpx.AsyncClient) -> None:
    """A problem has the adapter's part too."""
    program = await post_program(client, {"latency_ms": 2, "error": {"type": "unsupported"}})
    answer = await post_execution(client, program)
    timing = dict(TIMING.findall(answer.headers["Server-Timing"]))
    assert float(timing["adapter"]) >= 2


async def test_the_time_is_taken_from_the_clock() -> None:
    """A quarter of a second on the clock is 250 ms on the answer."""
    clock = ManualClock()

    async def app(scope: object, receive: object, send: object) -> None:
        assert scope
        assert receive
        clock.advance(0.25)
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b""})  # type: ignore[operator]

    transport = httpx.ASGITransport(AnswerHeadersMiddleware(app, clock))
    async with httpx.AsyncClient(transport=transport, base_url="http://dspatch") as client:
        answer = await client.get("/x")
    assert answer.headers["Server-Timing"] == "total;dur=250.000"
