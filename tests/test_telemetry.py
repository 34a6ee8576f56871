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

from app.settings import LoggingSettings
from app.telemetry import JSONFormatter, TextFormatter, configure_logging, current_request_id

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
    line = json.loads(JSONFormatter().format(record("took %d ms", 7)))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", line.pop("time"))
    assert line == {"level": "warning", "logger": "a.logger", "message": "took 7 ms"}


def test_a_text_line_says_what_happened() -> None:
    """Time, level and message stand in each line."""
    line = TextFormatter().format(record("took %d ms", 7))
    assert re.fullmatch(r"\d\d:\d\d:\d\d warning took 7 ms", line)


def test_the_request_is_in_the_line(request_id: str) -> None:
    """Either format names the request that is being served."""
    assert json.loads(JSONFormatter().format(record("no")))["request_id"] == request_id
    assert TextFormatter().format(record("no")).endswith("warning no [request-1]")


@pytest.mark.parametrize("formatter", [JSONFormatter(), TextFormatter()], ids=["json", "text"])
@given(message=CHARACTERS)
def test_no_message_breaks_its_line(formatter: logging.Formatter, message: str) -> None:
    """Whatever a message holds, it is one line of printable characters."""
    line = formatter.format(record("%s", message))
    assert line.isprintable()
    line.encode()


def test_a_message_cannot_forge_a_line() -> None:
    """Line breaks and terminal codes of a message are shown, not obeyed."""
    line = json.loads(JSONFormatter().format(record(FORGED)))
    assert line["message"] == FORGED
    text = TextFormatter().format(record(FORGED))
    assert r"ok\n2026-01-05 12:00:00 error forged\r\x1b[31m\x00\x85\u2028" in text


def test_an_exception_is_shown_in_json() -> None:
    """The trace is a member of the line's object."""
    line = JSONFormatter().format(record("failed", error=ValueError(FORGED)))
    assert line.isprintable()
    trace = json.loads(line)["exception"]
    assert trace.startswith("Traceback (most recent call last):\n")
    assert trace.endswith(f"ValueError: {FORGED}")


def test_an_exception_is_shown_in_text() -> None:
    """The trace follows its line, indented, so that no line of it can pass for another."""
    text = TextFormatter().format(record("failed", error=ValueError(FORGED)))
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
        configure_logging(LoggingSettings())
    logging.getLogger("any.library").info("well")
    logging.getLogger("any.library").debug("not asked for")
    written = capsys.readouterr()
    assert written.out == ""
    (line,) = written.err.splitlines()
    assert json.loads(line)["message"] == "well"


@pytest.mark.usefixtures("_root_logger")
def test_the_operator_chooses_level_and_format(capsys: pytest.CaptureFixture[str]) -> None:
    """Text is written where it is asked for, and nothing below the level."""
    configure_logging(LoggingSettings(level="error", format="text"))
    logging.getLogger("any.library").warning("not asked for")
    logging.getLogger("any.library").error("bad")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("error   bad")
