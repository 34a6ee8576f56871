"""What the process says of itself, and the request that it is said about."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter

from opentelemetry import trace

spent_ms: ContextVar[dict[str, float]] = ContextVar("spent_ms")
"""Milliseconds by part of the current request, for its `Server-Timing`; set where it begins."""

current_request_id: ContextVar[str | None] = ContextVar("current_request_id", default=None)

current_trace_id: ContextVar[str | None] = ContextVar("current_trace_id", default=None)

current_batch_id: ContextVar[str | None] = ContextVar("current_batch_id", default=None)

current_execution_id: ContextVar[str | None] = ContextVar("current_execution_id", default=None)


def spend(part: str, milliseconds: float) -> None:
    """Add to a part of the current request; nothing happens outside of requests."""
    parts = spent_ms.get(None)
    if parts is not None:
        parts[part] = parts.get(part, 0.0) + milliseconds


@contextmanager
def spending(part: str) -> Iterator[None]:
    """Add the time of a block to a part of the current request, and note it in the current span."""
    began = perf_counter()
    try:
        yield
    finally:
        milliseconds = (perf_counter() - began) * 1_000
        spend(part, milliseconds)
        span = trace.get_current_span()
        if span.is_recording():
            span.add_event(part, {"duration_ms": milliseconds})
