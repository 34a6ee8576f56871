"""What others said, as plain JSON values that can be stored and sent."""

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

from pydantic_core import to_jsonable_python

MAX_DEPTH = 64


def as_json(value: Any) -> Any:
    """Give a value as JSON has it: models and enums become objects and strings.

    ValueError where JSON in UTF-8 cannot hold it: no finite number, half a character, or nesting
    deeper than 64.
    """
    plain = to_jsonable_python(value)
    _check(plain, MAX_DEPTH)
    return plain


def read_json(text: bytes) -> Any:
    """Read JSON that came from elsewhere; ValueError where it is none, or not to be trusted.

    That is: one key twice in an object, and whatever `as_json` refuses.
    """
    try:
        decoded = text.decode("utf-8")  # by itself, json would read UTF-16, too
        value = json.loads(decoded, object_pairs_hook=_members, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    _check(value, MAX_DEPTH)
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("it has one key twice in an object")
    return document


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def as_text(text: str) -> str:
    """Give a text that UTF-8 can hold; half characters become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _check(value: Any, depth: int) -> None:
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("it holds a number that is not finite")
    elif isinstance(value, Mapping | list):
        if depth == 0:
            raise ValueError(f"it is nested deeper than {MAX_DEPTH}")
        for item in value:
            _check(item, depth - 1)
        if isinstance(value, Mapping):
            for item in value.values():
                _check(item, depth - 1)


def _check_text(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("it holds half a character (a lone surrogate)") from None
