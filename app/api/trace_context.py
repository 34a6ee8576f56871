"""The trace that a request belongs to, as W3C Trace Context says it."""

import re
from collections.abc import Sequence
from uuid import uuid4

_TRACEPARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?!0{32})(?P<trace_id>[0-9a-f]{32})"
    r"-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?P<more>-.*)?"
)


def trace_id_of(headers: Sequence[str]) -> str:
    """Give the trace of the one `traceparent` that is well formed, or begin one.

    Later versions of the format may say more at the end; version 00 may not.
    """
    found = _TRACEPARENT.fullmatch(headers[0]) if len(headers) == 1 else None
    if found is None or (found["version"] == "00" and found["more"] is not None):
        return uuid4().hex
    return found["trace_id"]
