"""What OpenTelemetry is told of executions that were asked for over HTTP."""

import httpx
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from tests.support.factories import post_execution, post_program
from tests.support.spans import ToldSpans, id_of, parent_of, trace_of

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
CALLERS_SPAN_ID = "b7ad6b7169203331"
CALLERS = {"traceparent": f"00-{TRACE_ID}-{CALLERS_SPAN_ID}-01"}


def _attributes(span: ReadableSpan) -> dict[str, object]:
    return dict(span.attributes or {})


async def test_an_execution_is_told_call_by_call(
    client: httpx.AsyncClient, spans: ToldSpans
) -> None:
    """Request, workflow, attempts and calls of adapters lie in each other, in the caller's trace.

    The writes of the record are events of the request and of the workflow.
    """
    program = await post_program(client, {"error": {"type": "overloaded", "times": 1}})
    client.headers.update(CALLERS)
    answer = await post_execution(client, program, options={"retry_delay": 0})
    request = spans.named_once("POST /v1/programs/{program_id}/executions")
    workflow = spans.named_once("invoke_workflow answerer")
    attempts, calls = spans.named("attempt "), spans.named("call mock")
    assert request.kind is SpanKind.SERVER
    assert parent_of(request) == int(CALLERS_SPAN_ID, 16)
    assert {trace_of(of) for of in (request, workflow, *attempts, *calls)} == {int(TRACE_ID, 16)}
    assert parent_of(workflow) == id_of(request)
    assert [parent_of(of) for of in attempts] == [id_of(workflow)] * 2
    assert [parent_of(of) for of in calls] == [id_of(of) for of in attempts]
    assert [_attributes(of).get("error.type") for of in attempts] == ["overloaded", None]
    assert _attributes(workflow) == {
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.workflow.name": "answerer",
        "dspatch.program.revision": 1,
        "dspatch.execution.id": answer.json()["execution_id"],
        "dspatch.execution.outcome": "success",
    }
    assert _attributes(request)["http.response.status_code"] == 200
    assert "database" in {event.name for event in workflow.events}


async def test_a_failure_is_told_by_its_type_alone(
    client: httpx.AsyncClient, spans: ToldSpans
) -> None:
    """No message stands in a span: it may hold what somebody has sent."""
    error = {"type": "unsupported", "message": "Not for the inquisitive."}
    program = await post_program(client, {"error": error})
    await post_execution(client, program)
    for name in ("POST /v1/programs/{program_id}/exec", "invoke_workflow", "attempt 1", "call"):
        span = spans.named_once(name)
        assert span.status.status_code is StatusCode.ERROR
        assert "inquisitive" not in span.to_json()
    workflow = _attributes(spans.named_once("invoke_workflow"))
    assert workflow["error.type"] == "unsupported"
    assert workflow["dspatch.execution.outcome"] == "execution_error"


async def test_probes_are_not_told(client: httpx.AsyncClient, spans: ToldSpans) -> None:
    """What is asked every few seconds would hide the rest."""
    await client.get("/livez")
    await client.get("/metrics")
    assert not spans.named("")
