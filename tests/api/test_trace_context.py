import re

import pytest

from app.api.trace_context import trace_id_of

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


@pytest.mark.parametrize(
    "header",
    [f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00", f"cc-{TRACE}-{PARENT}-01-what-comes"],
)
def test_a_trace_is_continued(header: str) -> None:
    """Version 00, and what a later version says after the same four parts."""
    assert trace_id_of([header]) == TRACE


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [""],
        [f"00-{TRACE}-{PARENT}-01"] * 2,
        [f"00-{TRACE}-{PARENT}-01-more"],
        [f"00-{TRACE}-{PARENT}"],
        [f"ff-{TRACE}-{PARENT}-01"],
        [f"00-{'0' * 32}-{PARENT}-01"],
        [f"00-{TRACE}-{'0' * 16}-01"],
        [f"00-{TRACE.upper()}-{PARENT}-01"],
        [f" 00-{TRACE}-{PARENT}-01\n"],
        [f"00-{TRACE}-{PARENT}-0g"],
    ],
)
def test_another_trace_is_begun_where_none_is_told_well(headers: list[str]) -> None:
    """A new one each time, in the same form."""
    first, second = trace_id_of(headers), trace_id_of(headers)
    assert re.fullmatch(r"[0-9a-f]{32}", first)
    assert len({first, second, TRACE}) == 3
