"""What the process says of itself: log lines, each with the request that it belongs to."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from time import perf_counter

from typing_extensions import override

from app.settings import LoggingSettings

spent_ms: ContextVar[dict[str, float]] = ContextVar("spent_ms")
"""Milliseconds by part of the current request, for its `Server-Timing`; set where it begins."""

current_request_id: ContextVar[str | None] = ContextVar("current_request_id", default=None)


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


def configure_logging(settings: LoggingSettings) -> None:
    """Send every logger's lines to standard error in the operator's format."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JSONFormatter() if settings.format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())


class JSONFormatter(logging.Formatter):
    """One JSON object a line; JSON's own escapes keep control characters out of the line."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": current_request_id.get(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps({name: value for name, value in line.items() if value is not None})


class TextFormatter(logging.Formatter):
    """A line for people, control characters escaped; a trace follows it, indented."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        request_id = current_request_id.get()
        request = f" [{request_id}]" if request_id else ""
        trace = self.formatException(record.exc_info).split("\n") if record.exc_info else []
        first, *more = record.getMessage() + request, *trace
        return "\n    ".join(
            [f"{time} {record.levelname.lower():7} {_plain(first)}", *map(_plain, more)]
        )


def _plain(text: str) -> str:
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
