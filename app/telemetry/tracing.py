"""Spans of OpenTelemetry: what an execution did, call by call, within the request's, FastAPI's own.

Without a provider, which `app.telemetry.export` sets, none is begun: that would cost 10 µs each.
Names and attributes are those of https://opentelemetry.io/docs/specs/semconv/gen-ai/ where it has
some; what a call failed with is told by its type alone, since messages hold what users sent.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.telemetry import current_execution_id, current_trace_id

CANCELLED = "cancelled"

Attributes = Mapping[str, str | int | float]

_TRACER = trace.get_tracer("dspatch")
_W3C = TraceContextTextMapPropagator()


def type_of(error: BaseException) -> str:
    """Give the word of our vocabulary for an error, or the name of its class where it has none."""
    if isinstance(error, asyncio.CancelledError):
        return CANCELLED
    return str(getattr(error, "type", type(error).__name__))


@contextmanager
def execution_span(program: str, revision: int) -> Iterator[Span]:
    """Tell of the current execution, and have the log name its trace."""
    attributes: Attributes = {
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.workflow.name": program,
        "dspatch.program.revision": revision,
        "dspatch.execution.id": current_execution_id.get() or "",
    }
    with spanning(f"invoke_workflow {program}", attributes) as span:
        if (trace_id := span_trace_id()) is not None:
            current_trace_id.set(trace_id)
        yield span


@contextmanager
def spanning(
    name: str,
    attributes: Attributes,
    kind: SpanKind = SpanKind.INTERNAL,
    *,
    type_of: Callable[[BaseException], str] = type_of,
) -> Iterator[Span]:
    """Tell of what is done inside; `type_of` gives the word for what it raises."""
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        yield trace.INVALID_SPAN
        return
    with _TRACER.start_as_current_span(
        name,
        kind=kind,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except BaseException as error:
            fail(span, type_of(error))
            raise


def end_execution(span: Span, outcome: str | None, error: Mapping[str, Any] | None) -> None:
    """Say how an execution has ended, as its record does."""
    if outcome is not None:
        span.set_attribute("dspatch.execution.outcome", outcome)
    if error is not None:
        fail(span, error["type"])


def fail(span: Span, error_type: str) -> None:
    """Say that it failed, and how."""
    span.set_attribute("error.type", error_type)
    span.set_status(Status(StatusCode.ERROR))


def span_trace_id() -> str | None:
    """Give the trace of the current span; None without one."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None


def current_traceparent() -> str | None:
    """Give the header by which another server continues the current span; None without one."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    return carrier.get("traceparent")
