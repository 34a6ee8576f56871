"""A cursor over notation: the tokens that the grammar asks for, and where they stand."""

import json
import re
from typing import Any, NoReturn

from app.signatures.faults import shown

_BLANK = re.compile(r"\s*")
_NAME = re.compile(r"[^\W\d]\w*")
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'")


class NotationSyntaxError(Exception):
    """The text is not notation; the message says at which column it stops being so."""


class Cursor:
    """Reads a text from left to right; blanks and line breaks separate, and mean nothing."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._skip_blanks()

    @property
    def column(self) -> int:
        """Where the next token begins, counted from 1."""
        return self._at + 1

    @property
    def is_at_end(self) -> bool:
        """Whether nothing is left."""
        return self._at == len(self._text)

    def sees(self, *symbols: str) -> bool:
        """Say whether one of the symbols comes next."""
        return self._text.startswith(symbols, self._at)

    def take(self, symbol: str) -> bool:
        """Step over the symbol if it comes next, and say so."""
        if not self.sees(symbol):
            return False
        self._step(self._at + len(symbol))
        return True

    def expect(self, symbol: str) -> None:
        """Step over the symbol, which must come next."""
        if not self.take(symbol):
            self.fail(f"{symbol!r}")

    def name(self) -> str | None:
        """Step over a name if one comes next."""
        found = _NAME.match(self._text, self._at)
        if not found:
            return None
        self._step(found.end())
        return found.group()

    def value(self) -> Any:
        """Step over a JSON value; a text may stand in single quotes as in Python."""
        if quoted := _QUOTED.match(self._text, self._at):
            inner = quoted.group(1).replace("\\'", "'").replace('"', '\\"')
            found, end = self._decoded(f'"{inner}"', 0)[0], quoted.end()
        else:
            found, end = self._decoded(self._text, self._at)
        self._step(end)
        return found

    def fail(self, expected: str) -> NoReturn:
        """Refuse what comes next."""
        rest = self._text[self._at : self._at + 20]
        found = shown(rest) if rest else "the end"
        raise NotationSyntaxError(f"expected {expected} at column {self.column}, found {found}")

    def _decoded(self, text: str, start: int) -> tuple[Any, int]:
        try:
            return _JSON.raw_decode(text, start)
        except (ValueError, RecursionError):
            self.fail("a JSON value")

    def _step(self, end: int) -> None:
        self._at = end
        self._skip_blanks()

    def _skip_blanks(self) -> None:
        blanks = _BLANK.match(self._text, self._at)
        self._at = blanks.end() if blanks else self._at


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


_JSON = json.JSONDecoder(parse_constant=_refuse_constant)
