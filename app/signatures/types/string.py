"""Text."""

import math
from random import Random
from typing import Any, ClassVar

from pydantic_core import CoreSchema
from typing_extensions import override

from app.signatures.constraints import COUNT, PATTERN, one_of
from app.signatures.types.base import MOST_SAMPLED, WORDS, FieldType, text_schema
from app.signatures.types.formats import FORMATS, format_schema
from app.signatures.types.patterns import UnknownPatternError, pattern_sample

_DRAWS = 20
"""Texts drawn from a pattern, to find one of the right length."""


class StringType(FieldType):
    """Text; `pattern` is searched in it, `format` describes the whole of it."""

    name = "string"
    allowed: ClassVar = {
        "min_length": COUNT,
        "max_length": COUNT,
        "pattern": PATTERN,
        "format": one_of(FORMATS),
    }

    @override
    def core_schema(self) -> CoreSchema:
        schema = text_schema(**self._limits)
        if "format" in self.constraints:
            return format_schema(self.constraints["format"], schema)
        return schema

    @override
    def annotation(self) -> Any:
        return str

    @override
    def sample(self, random: Random) -> str:
        if "format" in self.constraints:
            return FORMATS[self.constraints["format"]].sample
        return text_sample(random, **self._limits)

    @property
    def _limits(self) -> dict[str, Any]:
        return {name: value for name, value in self.constraints.items() if name != "format"}


def text_sample(
    random: Random,
    *,
    min_length: int = 0,
    max_length: int | None = None,
    pattern: str | None = None,
) -> str:
    """Make text within the bounds; a pattern of a rare kind is left unmatched."""
    try:
        drawn = [pattern_sample(pattern, random) for _ in range(_DRAWS)] if pattern else []
    except UnknownPatternError:
        drawn = []
    most = math.inf if max_length is None else max_length
    words = " ".join(random.choices(WORDS, k=3)).ljust(min(min_length, MOST_SAMPLED), ".")[
        :max_length
    ]
    return next((text for text in drawn if min_length <= len(text) <= most), words)
