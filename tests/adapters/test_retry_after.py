"""How long back-ends ask to be left alone."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from app.adapters.retry_after import retry_after_s

NOW = datetime(2026, 1, 5, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": "2.5"}, 2.5),
        ({"retry-after": " 7 "}, 7),
        ({"Retry-After": "1e9"}, 60),
        ({"Retry-After": "61"}, 60),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "Mon, 05 Jan 2026 12:00:09 GMT"}, 9),
        ({"Retry-After": "Mon, 05 Jan 2026 12:00:09"}, 9),
        ({"Retry-After": "Mon, 05 Jan 2026 14:00:09 +0200"}, 9),
        ({"Retry-After": "Mon, 05 Jan 2026 11:59:59 GMT"}, None),
        ({"Retry-After": "Mon, 05 Jan 2099 12:00:00 GMT"}, 60),
        ({"Retry-After": "99999999999 Jan 2026 12:00:00 GMT"}, None),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "Retry-After": "7"}, 0.25),
        ({"retry-after-ms": "-1", "Retry-After": "7"}, 7),
        ({"retry-after-ms": "garbage", "Retry-After": "7"}, 7),
        ({"retry-after-ms": "999999999"}, 60),
    ],
)
def test_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    """Milliseconds win over seconds and dates; garbage and the past are ignored; 60 s is most."""
    assert retry_after_s(CIMultiDict(headers), NOW) == seconds


@given(st.text(), st.text())
def test_never_raises(milliseconds: str, seconds: str) -> None:
    """Whatever a server sends, the result is nothing or from 0 to 60."""
    headers = {"retry-after-ms": milliseconds, "Retry-After": seconds}
    result = retry_after_s(headers, NOW)
    assert result is None or 0 <= result <= 60
