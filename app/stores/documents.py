"""JSON values to and from the database, so that every value comes back as it went in.

PostgreSQL cannot turn NUL or half a surrogate pair into text; such a character, and the mark
itself, is written as the mark (U+E000) and four hexadecimal digits.
"""

import re
from collections.abc import Callable
from typing import Any

from pydantic_core import from_json, to_json

_MARK = "\ue000"
_UNFIT = re.compile("[\x00\ud800-\udfff\ue000]")
_MARKED = re.compile("\ue000([0-9a-f]{4})")


def dump_document(value: Any) -> str:
    """Write a JSON value; NaN and the infinities become the strings that name them."""
    try:
        text = to_json(value, inf_nan_mode="strings").decode()
    except ValueError:  # half a surrogate pair has no UTF-8
        return to_json(_mapped(value, _mark), inf_nan_mode="strings").decode()
    if "\\u0000" in text or _MARK in text:
        return to_json(_mapped(value, _mark), inf_nan_mode="strings").decode()
    return text


def load_document(text: str) -> Any:
    """Read what `dump_document` wrote."""
    value = from_json(text)
    return _mapped(value, _unmark) if _MARK in text else value


def _mark(text: str) -> str:
    return _UNFIT.sub(lambda match: f"{_MARK}{ord(match[0]):04x}", text)


def _unmark(text: str) -> str:
    return _MARKED.sub(lambda match: chr(int(match[1], 16)), text)


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """Give `value` with every string in it changed, keys too."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {_mapped(key, change): _mapped(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(item, change) for item in value]
    return value
