"""Samples of text that match a pattern.

It reads the everyday part of regular expressions; a pattern with anything else has no sample. It
makes text and never matches any, so that no pattern can make it slow.
"""

import string
from collections.abc import Callable
from functools import partial
from random import Random

Maker = Callable[[Random], str]

_MORE = 2
"""Repetitions that an open quantifier adds to the fewest it asks for."""
_MOST = 1000
"""Repetitions that a sample makes."""
_CLASSES = {"d": string.digits, "w": string.ascii_letters + string.digits + "_", "s": " "}
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t"}
_ANCHORS = frozenset("bAz")
_PRINTABLE = string.ascii_letters + string.digits + " -_.,:;/"


class UnknownPatternError(Exception):
    """The pattern holds something that no sample is made of."""


def pattern_sample(pattern: str, random: Random) -> str:
    """Make text that matches, or raise `UnknownPatternError`."""
    return _Reader(pattern).whole()(random)


class _Reader:
    """Reads a pattern by recursive descent, into functions that make text."""

    def __init__(self, pattern: str) -> None:
        self._rest = list(reversed(pattern))

    def whole(self) -> Maker:
        maker = self._alternatives()
        if self._rest:
            raise UnknownPatternError
        return maker

    def _alternatives(self) -> Maker:
        branches = [self._sequence()]
        while self._take("|"):
            branches.append(self._sequence())
        return lambda random: random.choice(branches)(random)

    def _sequence(self) -> Maker:
        parts: list[Maker] = []
        while self._rest and self._rest[-1] not in "|)":
            parts.append(self._repeated(self._atom()))
        return lambda random: "".join(part(random) for part in parts)

    def _atom(self) -> Maker:
        match self._next():
            case "^" | "$":
                return lambda _: ""
            case ".":
                return partial(_any_of, _PRINTABLE)
            case "(":
                return self._group()
            case "[":
                return partial(_any_of, self._set())
            case "\\":
                return partial(_any_of, self._escaped())
            case character:
                return lambda _: character

    def _group(self) -> Maker:
        if self._take("?"):
            named = self._take("P") or (self._rest and self._rest[-1] == "<")
            while named and self._next() != ">":
                pass
            if not named and not self._take(":"):
                raise UnknownPatternError
        maker = self._alternatives()
        self._expect(")")
        return maker

    def _set(self) -> str:
        negated = self._take("^")
        members = ""
        while not self._take("]"):
            first = self._member()
            if self._rest[-1:] == ["-"] and self._rest[-2:-1] != ["]"]:
                self._expect("-")
                first = _between(first, self._member())
            members += first
        return "".join(c for c in _PRINTABLE if c not in members) if negated else members

    def _member(self) -> str:
        character = self._next()
        if character in "[&~":  # nested sets and operations on sets
            raise UnknownPatternError
        return self._escaped() if character == "\\" else character

    def _escaped(self) -> str:
        character = self._next()
        if character in _ANCHORS:
            return ""
        known = _CLASSES.get(character) or _CONTROLS.get(character)
        if not known and character.isalnum():
            raise UnknownPatternError
        return known or character

    def _repeated(self, maker: Maker) -> Maker:
        bounds = self._bounds()
        if bounds is None:
            return maker
        self._take("?")
        low, high = bounds
        if low > _MOST:
            raise UnknownPatternError
        return lambda random: "".join(maker(random) for _ in range(random.randint(low, high)))

    def _bounds(self) -> tuple[int, int] | None:
        if self._take("?"):
            return 0, 1
        if self._take("*"):
            return 0, _MORE
        if self._take("+"):
            return 1, 1 + _MORE
        if not self._take("{"):
            return None
        low = self._number()
        high = low
        if self._take(","):
            high = low + _MORE if self._rest[-1:] == ["}"] else self._number()
        self._expect("}")
        return low, min(high, low + _MORE)

    def _number(self) -> int:
        digits = ""
        while self._rest and self._rest[-1].isdigit():
            digits += self._next()
        if not 0 < len(digits) <= len(str(_MOST)):
            raise UnknownPatternError
        return int(digits)

    def _take(self, character: str) -> bool:
        if self._rest[-1:] != [character]:
            return False
        self._rest.pop()
        return True

    def _expect(self, character: str) -> None:
        if not self._take(character):
            raise UnknownPatternError

    def _next(self) -> str:
        if not self._rest:
            raise UnknownPatternError
        return self._rest.pop()


def _between(first: str, last: str) -> str:
    if len(first) != 1 or len(last) != 1:
        raise UnknownPatternError
    return "".join(map(chr, range(ord(first), ord(last) + 1)))


def _any_of(characters: str, random: Random) -> str:
    return random.choice(characters) if characters else ""
