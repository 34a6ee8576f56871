"""Log lines, each with the request, the trace, the batch and the execution that it is of."""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from typing_extensions import override

from app.settings import LoggingSettings
from app.telemetry import (
    current_batch_id,
    current_execution_id,
    current_request_id,
    current_trace_id,
)
from app.telemetry.masking import Mask

CHATTY = ("procrastinate",)
"""Libraries that tell of each piece of work at `info`: they are heard from `warning` on."""


def configure_logging(settings: LoggingSettings, mask: Mask) -> None:
    """Send every logger's lines to standard error in the operator's format, secrets masked."""
    formatter = JSONFormatter if settings.format == "json" else TextFormatter
    handler = LossyHandler(sys.stderr)
    handler.setFormatter(formatter(mask))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))


class LossyHandler(logging.StreamHandler[Any]):
    """Loses a line that cannot be written: a full disk or a closed pipe fails no request."""

    @override
    def handleError(self, record: logging.LogRecord) -> None:
        """Say nothing: the only place to say it is the one that fails."""


def with_fields(**fields: Any) -> dict[str, Any]:
    """Give the `extra` of a log call whose JSON line has these members besides its message."""
    return {"fields": fields}


class JSONFormatter(logging.Formatter):
    """One JSON object a line; JSON's own escapes keep control characters out of the line."""

    def __init__(self, mask: Mask) -> None:
        super().__init__()
        self._mask = mask

    @override
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": current_request_id.get(),
            "trace_id": current_trace_id.get(),
            "batch_id": current_batch_id.get(),
            "execution_id": current_execution_id.get(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(self._masked(line))

    def _masked(self, line: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: self._mask(value) if isinstance(value, str) else value
            for name, value in line.items()
            if value is not None
        }


class TextFormatter(logging.Formatter):
    """A line for people, control characters escaped; a trace follows it, indented."""

    def __init__(self, mask: Mask) -> None:
        super().__init__()
        self._mask = mask

    @override
    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        request_id = current_request_id.get()
        request = f" [{request_id}]" if request_id else ""
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        message = self._mask(record.getMessage() + request)
        first, *more = message, *(self._mask(trace).split("\n") if trace else [])
        return "\n    ".join(
            [f"{time} {record.levelname.lower():7} {_plain(first)}", *map(_plain, more)]
        )


def _plain(text: str) -> str:
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
