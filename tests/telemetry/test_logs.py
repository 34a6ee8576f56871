import errno
import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from app.settings import LoggingSettings
from app.telemetry import current_execution_id, current_request_id, current_trace_id
from app.telemetry.logs import JSONFormatter, LossyHandler, TextFormatter, configure_logging
from app.telemetry.masking import Mask

FORGED = 'ok\n2026-01-05 12:00:00 error forged\r\x1b[31m\x00\x85\u2028"}\n{"level": "error"}'
CHARACTERS = st.text(st.characters(exclude_categories=()))


def record(message: str, *arguments: object, error: BaseException | None = None) -> Any:
    """Make a record of a message, with the trace of an error where there is one."""
    exc_info: tuple[type[BaseException], BaseException, TracebackType | None] | None = None
    if error is not None:
        try:
            raise error
        except type(error):
            exc_info = sys.exc_info()  # type: ignore[assignment]
    return logging.LogRecord("a.logger", logging.WARNING, "", 0, message, arguments, exc_info)


@pytest.fixture
def request_id() -> Iterator[str]:
    """The id of a request that is being served."""
    token = current_request_id.set("request-1")
    yield "request-1"
    current_request_id.reset(token)


@pytest.fixture
def _root_logger() -> Iterator[None]:
    """The root logger, put back after the test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_json_line_says_what_happened() -> None:
    """Time in UTC, level, logger and message stand in each line; nothing empty does."""
    line = json.loads(JSONFormatter(Mask()).format(record("took %d ms", 7)))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", line.pop("time"))
    assert line == {"level": "warning", "logger": "a.logger", "message": "took 7 ms"}


def test_a_text_line_says_what_happened() -> None:
    """Time, level and message stand in each line."""
    line = TextFormatter(Mask()).format(record("took %d ms", 7))
    assert re.fullmatch(r"\d\d:\d\d:\d\d warning took 7 ms", line)


def test_the_request_is_in_the_line(request_id: str) -> None:
    """Either format names the request that is being served."""
    assert json.loads(JSONFormatter(Mask()).format(record("no")))["request_id"] == request_id
    assert TextFormatter(Mask()).format(record("no")).endswith("warning no [request-1]")


@pytest.mark.parametrize(
    "formatter", [JSONFormatter(Mask()), TextFormatter(Mask())], ids=["json", "text"]
)
@given(message=CHARACTERS)
def test_no_message_breaks_its_line(formatter: logging.Formatter, message: str) -> None:
    """Whatever a message holds, it is one line of printable characters."""
    line = formatter.format(record("%s", message))
    assert line.isprintable()
    line.encode()


def test_a_message_cannot_forge_a_line() -> None:
    """Line breaks and terminal codes of a message are shown, not obeyed."""
    line = json.loads(JSONFormatter(Mask()).format(record(FORGED)))
    assert line["message"] == FORGED
    text = TextFormatter(Mask()).format(record(FORGED))
    assert r"ok\n2026-01-05 12:00:00 error forged\r\x1b[31m\x00\x85\u2028" in text


def test_an_exception_is_shown_in_json() -> None:
    """The trace is a member of the line's object."""
    line = JSONFormatter(Mask()).format(record("failed", error=ValueError(FORGED)))
    assert line.isprintable()
    trace = json.loads(line)["exception"]
    assert trace.startswith("Traceback (most recent call last):\n")
    assert trace.endswith(f"ValueError: {FORGED}")


def test_an_exception_is_shown_in_text() -> None:
    """The trace follows its line, indented, so that no line of it can pass for another."""
    text = TextFormatter(Mask()).format(record("failed", error=ValueError(FORGED)))
    first, *trace = text.split("\n")
    assert first.endswith("warning failed")
    assert trace[0] == "    Traceback (most recent call last):"
    assert "    ValueError: ok" in trace
    assert all(line.startswith("    ") and line.isprintable() for line in trace)


@pytest.mark.usefixtures("_root_logger")
@pytest.mark.parametrize("times", [1, 2])
def test_every_logger_writes_json_to_standard_error(
    capsys: pytest.CaptureFixture[str], times: int
) -> None:
    """Configured once or again, each message is one line on standard error."""
    for _ in range(times):
        configure_logging(LoggingSettings(), Mask())
    logging.getLogger("any.library").info("well")
    logging.getLogger("any.library").debug("not asked for")
    written = capsys.readouterr()
    assert written.out == ""
    (line,) = written.err.splitlines()
    assert json.loads(line)["message"] == "well"


@pytest.mark.usefixtures("_root_logger")
def test_the_operator_chooses_level_and_format(capsys: pytest.CaptureFixture[str]) -> None:
    """Text is written where it is asked for, and nothing below the level."""
    configure_logging(LoggingSettings(level="error", format="text"), Mask())
    logging.getLogger("any.library").warning("not asked for")
    logging.getLogger("any.library").error("bad")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("error   bad")


@pytest.mark.usefixtures("_root_logger")
def test_the_engine_s_word_for_each_job_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    """What it warns of is."""
    configure_logging(LoggingSettings(format="text"), Mask())
    logging.getLogger("procrastinate.worker").info("Starting job")
    logging.getLogger("procrastinate.worker").warning("bad")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("warning bad")


class _BrokenStream(io.StringIO):
    """A stream on a full disk, or into a pipe that nobody reads any more."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self._error = error
        self.tried = 0

    @override
    def write(self, text: str) -> int:
        self.tried += 1
        raise self._error


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), BrokenPipeError()])
def test_a_line_that_cannot_be_written_is_lost(
    error: OSError, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever logs hears nothing of it, and nothing is written elsewhere."""
    stream = _BrokenStream(error)
    handler = LossyHandler(stream)
    handler.handle(record("lost"))
    assert stream.tried == 1
    assert capsys.readouterr() == ("", "")


def test_a_line_names_the_trace_and_the_execution() -> None:
    """Beside the request, where there are any, and the fields of the call."""
    tokens = current_trace_id.set("t-1"), current_execution_id.set("e-1")
    one = record("done")
    one.fields = {"status": 200, "route": "/v1/\x00", "nothing": None}
    line = json.loads(JSONFormatter(Mask()).format(one))
    current_trace_id.reset(tokens[0])
    current_execution_id.reset(tokens[1])
    assert (line["trace_id"], line["execution_id"]) == ("t-1", "e-1")
    assert (line["status"], line["route"]) == (200, "/v1/\x00")
    assert "nothing" not in line
