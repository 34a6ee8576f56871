"""Errors that differ in names and numbers alone, as one pattern."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MOST_PATTERNS = 10

_FOLDS = (
    (re.compile(r"\b[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE), "<address>"),
    (re.compile(r"\"[^\"]*\"|“[^”]*”|`[^`]*`|(?<!\w)'[^']*'(?!\w)"), "<text>"),
    (re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "<address>"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"), "<address>"),
    (
        re.compile(r"(?<![\w:])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:])", re.IGNORECASE),
        "<address>",
    ),
    (re.compile(r"\b[\w-]+(?:\.[\w-]+)+:\d+\b"), "<address>"),
    (re.compile(r"\b0x[0-9a-f]+\b", re.IGNORECASE), "<address>"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\b(?=[a-z]*\d)[0-9a-f]{8,}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\d+(?:[.,]\d+)*"), "<number>"),
)
"""What varies, and what stands in its place: in this order, since addresses hold numbers."""


def fold(text: str) -> str:
    """Put a word in the place of each part that varies between errors of one kind."""
    for pattern, word in _FOLDS:
        text = pattern.sub(word, text)
    return text


def count_patterns(errors: Iterable[str]) -> Sequence[Mapping[str, Any]]:
    """Give the ten most frequent patterns with the first error of each, which is the newest."""
    found: dict[str, dict[str, Any]] = {}
    for error in errors:
        pattern = fold(error)
        known = found.setdefault(pattern, {"pattern": pattern, "count": 0, "example": error})
        known["count"] += 1
    return sorted(found.values(), key=lambda one: one["count"], reverse=True)[:MOST_PATTERNS]
