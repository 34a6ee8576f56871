"""What the process says of itself, and the request that it is said about."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter

spent_ms: ContextVar[dict[str, float]] = ContextVar("spent_ms")
"""Milliseconds by part of the current request, for its `Server-Timing`; set where it begins."""

current_request_id: ContextVar[str | None] = ContextVar("current_request_id", default=None)

current_trace_id: ContextVar[str | None] = ContextVar("current_trace_id", default=None)

current_execution_id: ContextVar[str | None] = ContextVar("current_execution_id", default=None)


def spend(part: str, milliseconds: float) -> None:
    """Add to a part of the current request; nothing happens outside of requests."""
    parts = spent_ms.get(None)
    if parts is not None:
        parts[part] = parts.get(part, 0.0) + milliseconds


@contextmanager
def spending(part: str) -> Iterator[None]:
    """Add the time of a block to a part of the current request."""
    began = perf_counter()
    try:
        yield
    finally:
        spend(part, (perf_counter() - began) * 1_000)
