"""What children write: some of it is logged, the end of it is kept, no secret is told."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.worker.output import LINES_AT_ONCE, TAIL_BYTES, LoggedLines, Tail
from tests.support.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still."""
    return ManualClock()


@pytest.fixture
def lines(clock: ManualClock, caplog: pytest.LogCaptureFixture) -> LoggedLines:
    """Lines that are logged at the level of warnings."""
    caplog.set_level(logging.WARNING)
    return LoggedLines(logging.WARNING, "a child says", clock)


def test_lines_are_logged_when_they_are_whole(
    lines: LoggedLines, caplog: pytest.LogCaptureFixture
) -> None:
    """However they arrive, and whatever bytes they are."""
    for piece in (b"one\nt", b"wo", b"\n\xff\n", b"unfinished"):
        lines.take(piece)
    assert caplog.messages == ["a child says: one", "a child says: two", "a child says: \ufffd"]


def test_long_lines_are_cut(lines: LoggedLines, caplog: pytest.LogCaptureFixture) -> None:
    """One that never ends is not kept either."""
    for _ in range(5_000):
        lines.take(b"x" * 1_000)
    assert len(lines._unfinished) == 1_000
    lines.take(b"\n")
    assert caplog.messages == ["a child says: " + "x" * 1_000]


def test_a_flood_is_not_logged(
    lines: LoggedLines, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """How much was left out is said once it is over."""
    lines.take(b"x\n" * 1_000)
    assert len(caplog.messages) == LINES_AT_ONCE
    clock.advance(5)
    lines.take(b"y\n")
    assert caplog.messages[LINES_AT_ONCE:] == [
        f"a child says: {1_000 - LINES_AT_ONCE} lines more",
        "a child says: y",
    ]


@given(st.lists(st.binary(max_size=3 * TAIL_BYTES), max_size=5))
def test_the_end_is_kept_as_text(pieces: list[bytes]) -> None:
    """At most 4 KiB of it, fit for a record."""
    tail = Tail(())
    for piece in pieces:
        tail.take(piece)
    text = tail.text()
    assert len(text) <= TAIL_BYTES
    assert all(char.isprintable() or char in "\n\t" for char in text)
    assert len(tail._kept) <= 2 * TAIL_BYTES


@pytest.mark.parametrize("before", range(TAIL_BYTES - 20, TAIL_BYTES + 3))
def test_no_part_of_a_secret_is_told(before: int) -> None:
    """Wherever the text is cut."""
    tail = Tail(["sk-very-secret"])
    tail.take(b"see https://model.example/v1?key=1 sk-very-secret" + b"x" * before)
    assert "secret" not in tail.text()
    assert "ret" not in tail.text()
    assert "model" not in tail.text()
