"""What a child writes to its standard streams: some lines for the log, the end for the record."""

import asyncio
import logging
from collections.abc import Callable, Iterable

from typing_extensions import override

from app.adapters.redaction import masked
from app.policies.clock import Clock

logger = logging.getLogger(__name__)

TAIL_BYTES = 4_096
LONGEST_LINE = 1_000
LINES_AT_ONCE = 50
WINDOW_S = 5.0


class Stream(asyncio.Protocol):
    """Reads a pipe to its end, and gives each piece to those who take it."""

    def __init__(self, *takers: Callable[[bytes], None]) -> None:
        self._takers = takers
        self.ended = asyncio.Event()

    @override
    def data_received(self, data: bytes) -> None:
        for take in self._takers:
            take(data)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()


class LoggedLines:
    """Logs lines as they are written, at most 50 in five seconds; says how many it left out."""

    def __init__(self, level: int, writer: str, clock: Clock) -> None:
        self._level = level
        self._writer = writer
        self._clock = clock
        self._unfinished = b""
        self._since_s = -WINDOW_S
        self._count = 0

    def take(self, data: bytes) -> None:
        """Take what was written."""
        *lines, unfinished = (self._unfinished + data).split(b"\n")
        self._unfinished = unfinished[:LONGEST_LINE]
        for line in lines:
            self._log(line[:LONGEST_LINE].decode("utf-8", "replace"))

    def _log(self, line: str) -> None:
        now = self._clock.monotonic()
        if now - self._since_s >= WINDOW_S:
            self._say_what_was_left_out()
            self._since_s, self._count = now, 0
        self._count += 1
        if self._count <= LINES_AT_ONCE:
            logger.log(self._level, "%s: %s", self._writer, line)

    def _say_what_was_left_out(self) -> None:
        if self._count > LINES_AT_ONCE:
            left_out = self._count - LINES_AT_ONCE
            logger.log(self._level, "%s: %d lines more", self._writer, left_out)


class Tail:
    """Keeps the last 4 KiB of what was written, without secrets."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple(secrets)
        self._kept = bytearray()

    def take(self, data: bytes) -> None:
        """Take what was written."""
        self._kept += data[-2 * TAIL_BYTES :]
        del self._kept[: -2 * TAIL_BYTES]

    def text(self) -> str:
        """Give the end as text that a record can hold."""
        # Twice as much is kept, so that a secret that the cut goes through is not in the text.
        text = masked(self._kept.decode("utf-8", "replace"), self._secrets)
        plain = "".join(char for char in text if char.isprintable() or char in "\n\t")
        return plain[-TAIL_BYTES:].strip()
