"""How long the parts of a request took, for its `Server-Timing`."""

from contextvars import ContextVar

spent_ms: ContextVar[dict[str, float]] = ContextVar("spent_ms")
"""Milliseconds by part; set where a request begins."""


def spend(part: str, milliseconds: float) -> None:
    """Add to a part of the current request; nothing happens outside of requests."""
    parts = spent_ms.get(None)
    if parts is not None:
        parts[part] = parts.get(part, 0.0) + milliseconds
