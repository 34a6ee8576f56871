"""What samples of values are, whatever their type."""

from dataclasses import dataclass
from typing import Any

MOST = 10_000
"""The most characters, items and members that a sample is made of."""

MOST_NAMED = 20
"""Of many words, keys, variables or members, so many are tried."""


@dataclass(frozen=True)
class Sample:
    """A value to try a type with, and whether the type must take it."""

    value: Any
    must_pass: bool


class UnsampledError(Exception):
    """No value of the type can be made up; the message says why."""
