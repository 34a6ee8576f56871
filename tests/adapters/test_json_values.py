"""What others say, as JSON."""

import math
from enum import Enum
from typing import Any

import pytest
from pydantic import BaseModel

from app.adapters.json_values import as_json, as_text, read_json


class Colour(Enum):
    RED = "red"


class Point(BaseModel):
    x: int
    colour: Colour = Colour.RED


def nested(depth: int) -> Any:
    """Give lists in lists."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_makes_plain_values() -> None:
    """Models, enums and tuples become objects, strings and lists."""
    assert as_json({"points": (Point(x=1),)}) == {"points": [{"x": 1, "colour": "red"}]}


def test_holds_as_much_as_the_limit() -> None:
    """Nesting as deep as the limit is kept."""
    assert as_json(nested(64)) == nested(64)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([math.nan], "not finite"),
        ({"a": -math.inf}, "not finite"),
        ("\ud800", "surrogate"),
        ({"\udfff": 1}, "surrogate"),
        (nested(65), "nested deeper"),
        (nested(2_000), "."),
        (object(), "."),
    ],
)
def test_refuses_what_json_cannot_hold(value: Any, reason: str) -> None:
    """What cannot be stored or sent is refused with a reason."""
    with pytest.raises(ValueError, match=reason):
        as_json(value)


def test_mends_half_characters() -> None:
    """A text that is only looked at is kept, with question marks."""
    assert as_text("a\ud800b") == "a?b"


def test_reads_json() -> None:
    """Plain JSON is read, with numbers of any size."""
    text = b'{"a": [1, 2.5, null, true, "\\u00e9"], "b": {"a": 123456789012345678901234567890}}'
    assert read_json(text) == {
        "a": [1, 2.5, None, True, "é"],
        "b": {"a": 123456789012345678901234567890},
    }


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting"),
        (b"<html>", "Expecting value"),
        (b"\xff\xfe", "codec"),
        (b'{"a": 1, "b": {"c": 1, "c": 1}}', "one key twice"),
        (b"[NaN]", "NaN is no JSON"),
        (b"-Infinity", "-Infinity is no JSON"),
        (b"1e400", "not finite"),
        (b'"\\ud800"', "half a character"),
        (b"[" * 65 + b"]" * 65, "nested deeper"),
        (b"[" * 100_000, "nested too deep"),
        (b"9" * 5_000, "digits"),
    ],
)
def test_trusts_no_odd_json(text: bytes, sentence: str) -> None:
    """What is no JSON, or could be read in two ways, is refused with a reason."""
    with pytest.raises(ValueError, match=sentence):
        read_json(text)
