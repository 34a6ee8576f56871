"""The logs of the local stack's processes."""

from pathlib import Path

_LINES = 12
_BYTES = 4096


def tail(log: Path) -> str:
    """Give the last lines of a log, of any size."""
    end = log.read_bytes()[-_BYTES:].decode("utf-8", errors="replace")
    return "\n".join(end.splitlines()[-_LINES:])
