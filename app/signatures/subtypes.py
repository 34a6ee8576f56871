"""Which types take every value that another type takes: sub-typing, through all nesting.

It is cautious: where it says yes it is so, where it cannot tell it says no. Values count as they
are sent: what one type converts, the other must take, too.
"""

from collections.abc import Callable, Mapping
from operator import eq, ge, le
from typing import Any

from app.signatures.shapes import Shape, shape_of
from app.signatures.types.base import FieldType

MOST_PAIRS = 500_000
"""Pairs of types within types that are looked at: about a second of work."""


class SubTyping:
    """Compares types, and says no to whatever is left once it has looked at so many pairs."""

    def __init__(self, most_pairs: int = MOST_PAIRS) -> None:
        self._pairs_left = most_pairs

    def is_subtype(self, narrow: FieldType, wide: FieldType) -> bool:
        """Say whether `wide` is known to take every value that `narrow` takes."""
        return narrow == wide or self._is_within(shape_of(narrow), shape_of(wide))

    def _is_within(self, narrow: Shape, wide: Shape) -> bool:
        self._pairs_left -= 1
        return self._pairs_left >= 0 and self._takes_all(narrow, wide)

    def _takes_all(self, narrow: Shape, wide: Shape) -> bool:
        if wide.kind == "any":
            return True
        if narrow.kind == "union":
            return all(self._is_within(part, wide) for part in narrow.parts)
        if "one_of" in narrow.limits:
            return wide.of is not None and all(map(wide.of.accepts, narrow.limits["one_of"]))
        if wide.kind == "union":
            return any(self._is_within(narrow, part) for part in wide.parts)
        if narrow.kind != wide.kind and narrow.members is not None:
            return self._is_within(narrow.members, wide)
        return (
            narrow.kind == wide.kind
            and _are_limits_within(_reaching(narrow, wide), wide.limits)
            and all(map(self._is_within, narrow.parts, wide.parts))
            and ("unique" not in wide.limits or narrow.parts == wide.parts)
        )


def _are_limits_within(narrow: Mapping[str, Any], wide: Mapping[str, Any]) -> bool:
    return all(name in narrow and _RULES[name](narrow[name], of) for name, of in wide.items())


def _reaching(narrow: Shape, wide: Shape) -> Mapping[str, Any]:
    """Give the limits as far as values reach: rounding brings some back from past the bounds."""
    limits = narrow.limits
    precision = limits.get("precision")
    if precision is None or "is_whole" in limits or precision == wide.limits.get("precision"):
        return limits
    step: float = 10.0**-precision
    reached = {"min": limits.get("min", 0) - step, "max": limits.get("max", 0) + step}
    return {**limits, **{name: reached[name] for name in reached if name in limits}}


def _is_multiple(narrow: int, wide: int) -> bool:
    return narrow % wide == 0


def _has_all(narrow: Any, wide: Any) -> bool:
    return set(narrow) >= set(wide)


def _has_none_else(narrow: Any, wide: Any) -> bool:
    return set(narrow) <= set(wide)


_RULES: Mapping[str, Callable[[Any, Any], bool]] = {
    **dict.fromkeys(("min", "min_length", "min_size"), ge),
    **dict.fromkeys(("max", "max_length", "max_size", "max_bytes", "precision"), le),
    **dict.fromkeys(("pattern", "format", "unique", "tag"), eq),
    **dict.fromkeys(("is_base64", "is_template", "is_whole", "is_no_text"), eq),
    "multiple_of": _is_multiple,
    "required_keys": _has_all,
    "required_variables": _has_all,
    "allowed_functions": _has_none_else,
    "one_of": _has_none_else,
}
"""For each limit, when its first value allows no more than its second."""
