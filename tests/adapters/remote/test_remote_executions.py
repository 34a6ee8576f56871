"""Executions on another Dspatch: what is asked for, what the answers mean, what happens twice."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from app.adapters.errors import AdapterError, ErrorType
from app.adapters.remote.client import MAX_ANSWER_BYTES, RemoteClient
from app.adapters.usage import Usage
from app.policies.deadline import Deadline
from app.telemetry import current_request_id, current_trace_id
from app.telemetry.tracing import spanning
from tests.adapters.programs import a_call
from tests.adapters.remote.stub import (
    EXECUTION,
    OUTPUTS,
    USAGE,
    Answer,
    Reply,
    Stub,
    an_adapter,
    problem,
    raw,
    replies,
)
from tests.support.clock import ManualClock
from tests.support.spans import ToldSpans, id_of
from tests.support.wait import wait_until

EXECUTIONS = "POST /v1/programs/p1/executions"
RECORD = "GET /v1/executions/e1"
RUNNING = "GET /v1/executions"


async def failure_of(stub: Stub, *answers: Reply, **call: Any) -> AdapterError:
    """Execute to a failure; the execution is answered so."""
    stub.on(EXECUTIONS, *answers)
    with pytest.raises(AdapterError) as caught:
        await an_adapter(stub).execute_program(a_call(**call))
    return caught.value


async def test_asks_for_one_attempt_within_the_time_that_is_left() -> None:
    """The deadline shrinks on the way; retries are made here, not there."""
    stub, clock = Stub(), ManualClock()
    call = a_call(timeout_s=30, deadline=Deadline(clock, 12.3456))
    await an_adapter(stub, clock).execute_program(call)
    assert stub.body(EXECUTIONS) == {
        "inputs": {"question": "How are you?"},
        "execution_options": {
            "timeout": 12_345,
            "deadline_ms": 12_345,
            "max_retries": 0,
            "max_repairs": 0,
            "config": {},
        },
    }


@pytest.mark.parametrize(("seconds", "milliseconds"), [(0, 1), (7_200, 3_600_000)])
async def test_keeps_to_the_range_of_the_contract(seconds: float, milliseconds: int) -> None:
    """There is always a millisecond, and never more than an hour."""
    stub = Stub()
    await an_adapter(stub).execute_program(a_call(timeout_s=seconds))
    assert stub.body(EXECUTIONS)["execution_options"]["timeout"] == milliseconds


async def test_gives_outputs_usage_and_details() -> None:
    """What the other record says of outputs, cost and details is the result."""
    stub = Stub()
    stub.on(EXECUTIONS, replies(200, {**EXECUTION, "details": {"reasoning": "…"}, "new": 1}))
    result = await an_adapter(stub).execute_program(a_call())
    assert (result.outputs, result.adapter, result.raw_output) == (OUTPUTS, "eu", OUTPUTS)
    assert (result.usage, result.details) == (Usage(5, 2, 7, 1), {"reasoning": "…"})


async def test_tells_its_request_and_its_trace() -> None:
    """Each execution has a key of its own, and names the request and the trace it belongs to."""
    stub = Stub()
    current_request_id.set("r" * 200)
    current_trace_id.set("0af7651916cd43dd8448eb211c80319c")
    adapter = an_adapter(stub)
    for _ in range(2):
        await adapter.execute_program(a_call())
    keys = [of.headers["idempotency-key"] for of in stub.sent(EXECUTIONS)]
    names = [of.headers["x-request-id"] for of in stub.sent(EXECUTIONS)]
    traces = [of.headers["traceparent"] for of in stub.sent(EXECUTIONS)]
    assert len(set(keys)) == len(set(traces)) == 2
    assert all(name == f"{'r' * 167}.{key}" for name, key in zip(names, keys, strict=True))
    assert all(of.startswith("00-0af7651916cd43dd8448eb211c80319c-") for of in traces)


async def test_continues_the_span_that_is_kept(spans: ToldSpans) -> None:
    """The other server's spans lie in the one that asks it."""
    stub = Stub()
    with spanning("asking", {}):
        await an_adapter(stub).execute_program(a_call())
    (sent,) = stub.sent(EXECUTIONS)
    assert f"-{id_of(spans.named_once('asking')):016x}-" in sent.headers["traceparent"]


async def test_tells_no_trace_where_there_is_none() -> None:
    """Outside of requests a run is named after itself alone."""
    stub = Stub()
    current_request_id.set(None)
    current_trace_id.set(None)
    await an_adapter(stub).execute_program(a_call())
    (sent,) = stub.sent(EXECUTIONS)
    assert "traceparent" not in sent.headers
    assert sent.headers["x-request-id"] == f"dspatch.{sent.headers['idempotency-key']}"


@pytest.mark.parametrize("error_type", ErrorType)
async def test_says_an_executions_error_one_to_one(error_type: ErrorType) -> None:
    """Type, message, context and wait of the other record are ours; so are cost and raw output."""
    stub = Stub()
    error = {"type": error_type, "message": "no luck", "context": {"a": 1}, "retry_after": 3.5}
    stub.on(RECORD, replies(200, {"execution_id": "e1", "raw_output": "Hm.", "usage": USAGE}))
    failure = await failure_of(
        stub, problem(502, "execution-failed", execution_id="e1", error=error)
    )
    assert (failure.type, failure.message, failure.retry_after) == (error_type, "no luck", 3.5)
    assert failure.context == {"a": 1, "execution_id": "e1"}
    assert (failure.usage, failure.raw_output) == (Usage(5, 2, 7, 1), "Hm.")


async def test_an_unknown_error_is_unexpected_and_their_breaker_not_ours() -> None:
    """A later version may have more words; a breaker that is open is named as theirs."""
    stub = Stub()
    stub.on(RECORD, replies(200, {"execution_id": "e1", "usage": None}))
    error = {"type": "tired", "message": "zzz", "context": {"breaker": "open"}}
    failure = await failure_of(
        stub, problem(502, "execution-failed", execution_id="e1", error=error)
    )
    assert (failure.type, failure.message) == (ErrorType.UNEXPECTED, "zzz")
    assert failure.context == {"remote_breaker": "open", "execution_id": "e1"}


async def test_a_record_that_cannot_be_read_costs_nothing_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The failure stands, without its cost, and the log says so."""
    stub = Stub()
    stub.on(RECORD, replies(500))
    error = {"type": "timeout", "message": "late"}
    failure = await failure_of(
        stub, problem(504, "execution-timed-out", execution_id="e1", error=error)
    )
    assert (failure.type, failure.usage) == (ErrorType.TIMEOUT, Usage())
    assert "what the execution e1 cost is not known" in caplog.text


@pytest.mark.parametrize(
    ("answer", "error_type"),
    [
        (problem(422, "invalid-inputs"), ErrorType.VALIDATION_FAILED),
        (problem(422, "invalid-request"), ErrorType.INVALID_REQUEST),
        (problem(409, "invalid-transition"), ErrorType.INVALID_REQUEST),
        (problem(401, "unauthorized"), ErrorType.AUTHENTICATION),
        (problem(403, "forbidden"), ErrorType.AUTHENTICATION),
        (problem(503, "database-unavailable"), ErrorType.OVERLOADED),
        (problem(503, "shutting-down"), ErrorType.OVERLOADED),
        (problem(500, "internal"), ErrorType.BACKEND_ERROR),
        (raw(408, b""), ErrorType.TIMEOUT),
        (raw(413, b"<html>"), ErrorType.INVALID_REQUEST),
        (raw(429, b""), ErrorType.RATE_LIMITED),
        (raw(529, b""), ErrorType.OVERLOADED),
        (raw(502, b"<html>"), ErrorType.BACKEND_ERROR),
        (raw(504, b""), ErrorType.BACKEND_ERROR),
        (raw(404, b"nothing here"), ErrorType.BACKEND_ERROR),
        (raw(301, b"", Location="https://elsewhere.example"), ErrorType.BACKEND_ERROR),
        (raw(307, b"", Location="http://169.254.169.254/"), ErrorType.BACKEND_ERROR),
        (replies(200, {"execution_id": "e1"}), ErrorType.BACKEND_ERROR),
        (replies(200, {"outputs": {}}), ErrorType.BACKEND_ERROR),
        (replies(200, [1, 2]), ErrorType.BACKEND_ERROR),
        (raw(200, b"<html>"), ErrorType.BACKEND_ERROR),
        (raw(200, b""), ErrorType.BACKEND_ERROR),
        (raw(200, b'{"execution_id": "e1", "outputs": {"a": 1, "a": 2}}'), ErrorType.BACKEND_ERROR),
        (raw(200, b'{"execution_id": "e1", "outputs": {"a": NaN}}'), ErrorType.BACKEND_ERROR),
        (raw(200, b"[" * 100_000), ErrorType.BACKEND_ERROR),
        (raw(200, b"packed", Content_Encoding="gzip"), ErrorType.BACKEND_ERROR),
    ],
)
async def test_says_what_an_answer_means(answer: Answer, error_type: ErrorType) -> None:
    """Each problem, status and broken answer has its word; nothing is sent a second time."""
    stub = Stub()
    assert (await failure_of(stub, answer)).type is error_type
    assert len(stub.sent(EXECUTIONS)) == 1


async def test_says_how_long_to_wait() -> None:
    """`Retry-After` is passed on."""
    failure = await failure_of(Stub(), raw(503, b"", Retry_After="7"))
    assert (failure.type, failure.retry_after) == (ErrorType.OVERLOADED, 7)


async def test_quotes_no_address() -> None:
    """What a problem says is quoted with its faults, without addresses."""
    faults = [{"path": "/inputs/a", "code": "x", "message": "see https://far.example/base"}]
    failure = await failure_of(Stub(), problem(422, "invalid-request", errors=faults))
    assert failure.message == "the remote Dspatch answers 422: no luck; /inputs/a: see …"


async def test_reads_no_more_than_the_limit() -> None:
    """An endless answer is left as soon as it is too large."""
    stub, endless = Stub(), raw(200, b" " * (4 * MAX_ANSWER_BYTES))
    assert (await failure_of(stub, endless)).type is ErrorType.BACKEND_ERROR
    assert endless.body.pieces == MAX_ANSWER_BYTES / (1 << 20) + 1


async def test_a_broken_connection_is_tried_once_more_under_the_same_key() -> None:
    """What may have run is asked for again, byte by byte; its key keeps it from running twice."""
    stub = Stub()
    stub.on(EXECUTIONS, httpx.ReadError("reset"), replies(200, EXECUTION))
    assert (await an_adapter(stub).execute_program(a_call())).outputs == OUTPUTS
    first, second = stub.sent(EXECUTIONS)
    assert first.content == second.content
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]


async def test_a_connection_that_breaks_again_has_failed() -> None:
    """Two are enough; the attempt's retries are made by those who know its options."""
    stub = Stub()
    failure = await failure_of(stub, httpx.RemoteProtocolError("half an answer"))
    assert (failure.type, failure.usage) == (ErrorType.CONNECTION_FAILED, Usage())
    assert len(stub.sent(EXECUTIONS)) == 2


async def test_who_cannot_be_reached_is_not_tried_twice() -> None:
    """Where nothing was sent another member is asked sooner."""
    stub = Stub()
    failure = await failure_of(stub, httpx.ConnectError("refused"))
    assert failure.type is ErrorType.CONNECTION_FAILED
    assert "could not be reached (ConnectError)" in failure.message
    assert len(stub.sent(EXECUTIONS)) == 1


async def hang(_: httpx.Request) -> Answer:
    """Never answer."""
    await asyncio.Event().wait()
    raise AssertionError


async def test_calls_that_run_no_program_are_short() -> None:
    """Another Dspatch that hangs is given up."""
    stub = Stub()
    stub.on("GET /readyz", hang)
    client = RemoteClient("https://far.example/base", None, stub, patience_s=0.01)
    with pytest.raises(AdapterError, match=r"did not answer within 0\.01 s") as caught:
        await client.get("/readyz")
    assert caught.value.type is ErrorType.TIMEOUT
    await client.close()


async def left_behind(stub: Stub) -> None:
    """Cancel a call that hangs there, and clean up."""
    stub.on(EXECUTIONS, hang)
    call, adapter = a_call(), an_adapter(stub)
    running = asyncio.create_task(adapter.execute_program(call))
    await wait_until(lambda: bool(stub.sent(EXECUTIONS)))
    running.cancel()
    await asyncio.wait([running])
    assert call.told.usage == Usage(lm_calls=1)
    await adapter.cleanup()


async def test_what_is_left_behind_is_cancelled_there() -> None:
    """A call that nobody waits for is found by its request and cancelled, once it is recorded."""
    stub, looks = Stub(), 0

    async def running(_: httpx.Request) -> Answer:
        nonlocal looks
        looks += 1
        name = stub.sent(EXECUTIONS)[0].headers["x-request-id"] if looks > 1 else "other"
        return replies(200, {"items": [{"execution_id": "e7", "request_id": name}]})

    stub.on(RUNNING, running)
    stub.on("POST /v1/executions/e7/cancel", replies(200, {}))
    await left_behind(stub)
    assert stub.sent(RUNNING)[0].url.params["program_id"] == "p1"
    assert len(stub.sent("POST /v1/executions/e7/cancel")) == 1


@pytest.mark.parametrize("answer", [replies(200, {"items": []}), replies(503)])
async def test_what_cannot_be_found_is_left_to_its_timeout(answer: Answer) -> None:
    """It is looked for a few times, and not for ever."""
    stub = Stub()
    stub.on(RUNNING, answer)
    await left_behind(stub)
    assert len(stub.sent(RUNNING)) == (3 if answer.status == 200 else 1)


async def test_numbers_of_any_size_go_through() -> None:
    """Inputs and outputs are JSON to the digit."""
    stub, huge = Stub(), 10**300
    stub.on(EXECUTIONS, replies(200, {**EXECUTION, "outputs": {"answer": huge}}))
    result = await an_adapter(stub).execute_program(a_call(question=huge))
    assert result.outputs == {"answer": huge}
    assert json.loads(stub.sent(EXECUTIONS)[0].content)["inputs"] == {"question": huge}
