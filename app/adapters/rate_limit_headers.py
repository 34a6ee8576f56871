"""How much a model server still takes, as its headers say it."""

import re
from collections.abc import Mapping
from datetime import datetime

from app.policies.rate import Word

NAMES = {
    "requests": (
        ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
        ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ),
    "tokens": (
        ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
        ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
    ),
}
"""What is left, and when there is more, as OpenAI and those like it say it, and Anthropic."""

_UNITS_S = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|us|ns|[dhms])")
_DURATION = re.compile(rf"(?:{_PART.pattern})+")
_NUMBER = re.compile(r"\d{1,15}(?:\.\d+)?")
_FIRST_MOMENT = 1e9
"""Numbers from here on are seconds since 1970, smaller ones seconds from now."""


def read_word(kind: str, headers: Mapping[str, str], now: datetime) -> Word | None:
    """Read what is left of `requests` or `tokens`; None where nothing is said that can be read.

    `headers` ignore case.
    """
    for remaining, reset in NAMES[kind]:
        if (text := headers.get(remaining)) is not None:
            reset_s = _seconds(headers.get(reset, ""), now)
            if _NUMBER.fullmatch(text) and reset_s is not None:
                return Word(int(float(text)), max(0.0, reset_s))
    return None


def _seconds(text: str, now: datetime) -> float | None:
    """Read `6m0s`, `20ms`, seconds, seconds since 1970, or a date of RFC 3339."""
    if _NUMBER.fullmatch(text):
        number = float(text)
        return number - now.timestamp() if number >= _FIRST_MOMENT else number
    if _DURATION.fullmatch(text):
        return sum(float(count) * _UNITS_S[unit] for count, unit in _PART.findall(text))
    try:
        moment = datetime.fromisoformat(text)
        return (moment - now).total_seconds()
    except (ValueError, TypeError, OverflowError):  # no date, or one without a zone
        return None
