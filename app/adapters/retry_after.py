"""How long a back-end asks to be left alone, as its headers say it."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER_S = 60.0


def retry_after_s(
    headers: Mapping[str, str], now: datetime, most_s: float = MAX_RETRY_AFTER_S
) -> float | None:
    """Read `retry-after-ms`, else `Retry-After` (seconds or a date), in seconds, at most `most_s`.

    What cannot be read and what lies in the past is as if it were not there. `headers` ignore case.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    text = headers.get("Retry-After")
    candidates = (
        None if milliseconds is None else milliseconds / 1_000,
        _number(text),
        _until(text, now),
    )
    usable = (seconds for seconds in candidates if seconds is not None and seconds >= 0)
    seconds = next(usable, None)
    return None if seconds is None else min(seconds, most_s)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _until(text: str | None, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):
        return None
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
