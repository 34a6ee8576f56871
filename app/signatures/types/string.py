"""Text."""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from random import Random
from typing import Any, ClassVar

from pydantic_core import CoreSchema, SchemaValidator, core_schema
from typing_extensions import override

from app.signatures.constraints import COUNT, PATTERN, one_of
from app.signatures.faults import cut
from app.signatures.types.base import WORDS, FieldType, Schema, text_schema
from app.signatures.types.formats import FORMATS, format_schema
from app.signatures.types.patterns import UnknownPatternError, pattern_sample
from app.signatures.types.portable import pattern_keyword, pattern_remarks
from app.signatures.types.sampling import MOST, Sample, UnsampledError

_ODD_TEXTS = ("", " ", "~", "0", "no match")
_DRAWS = 20
"""Texts drawn from a pattern, to find one of the right length."""


class StringType(FieldType):
    """Text; `pattern` is searched in it, `format` describes the whole of it."""

    name = "string"
    weight = 1
    wrong: ClassVar = (None, True, 5, [], {})
    allowed: ClassVar = {
        "min_length": COUNT,
        "max_length": COUNT,
        "pattern": PATTERN,
        "format": one_of(FORMATS),
    }
    keywords: ClassVar = {"minLength": "min_length", "maxLength": "max_length", "format": "format"}

    @override
    def core_schema(self) -> CoreSchema:
        schema = text_schema(**self._limits)
        if "format" in self.constraints:
            return format_schema(self.constraints["format"], schema)
        return schema

    @override
    def shape(self) -> Schema:
        return {"type": "string", **self.told(), **pattern_keyword(self.constraints.get("pattern"))}

    @override
    def remarks(self) -> Iterator[str]:
        yield from pattern_remarks(self.constraints.get("pattern"), "Matches")

    @override
    def annotation(self) -> Any:
        return str

    @override
    def sample(self, random: Random) -> str:
        if "format" not in self.constraints:
            return text_sample(random, **self._limits)
        text = FORMATS[self.constraints["format"]].sample
        if not _fits(text, **self._limits):
            raise UnsampledError("its format goes with other constraints")
        return text

    @override
    def edges(self, random: Random) -> Iterator[Sample]:
        is_plain = not {"pattern", "format"} & self.constraints.keys()
        yield from length_edges(self.constraints, is_plain=is_plain)
        if "format" in self.constraints:
            yield Sample(f"no {self.constraints['format']} at all", must_pass=False)
        if "pattern" in self.constraints:
            yield from unmatched(self.constraints["pattern"])

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
    """Make text within the bounds; raises `UnsampledError` where none that matches is found."""
    if pattern is None:
        return " ".join(random.choices(WORDS, k=3)).ljust(min_length, ".")[:max_length]
    try:
        drawn = [pattern_sample(pattern, random) for _ in range(_DRAWS)]
    except UnknownPatternError:
        drawn = []
    fits = partial(_fits, min_length=min_length, max_length=max_length, pattern=pattern)
    found = next(filter(fits, drawn), None)
    if found is None:
        raise UnsampledError(f"no text is known that matches {cut(pattern)}")
    return found


def length_edges(constraints: Mapping[str, Any], *, is_plain: bool) -> Iterator[Sample]:
    """Make texts at and past the bounds of length; `is_plain` where nothing else counts."""
    least, most = constraints.get("min_length", 0), constraints.get("max_length", MOST)
    if least > 0:
        yield Sample("x" * (least - 1), must_pass=False)
    if most < MOST:
        yield Sample("x" * (most + 1), must_pass=False)
    for length in (least, most):
        if is_plain and length < MOST:
            yield Sample("x" * length, must_pass=True)


def unmatched(pattern: str) -> Iterator[Sample]:
    """Make texts that do not match, if any is known."""
    matches = _matcher(pattern)
    return (Sample(text, must_pass=False) for text in _ODD_TEXTS if not matches(text))


def _fits(
    text: str, *, min_length: int = 0, max_length: int | None = None, pattern: str | None = None
) -> bool:
    most = len(text) if max_length is None else max_length
    return min_length <= len(text) <= most and (pattern is None or _matcher(pattern)(text))


@lru_cache(maxsize=256)
def _matcher(pattern: str) -> Callable[[str], bool]:
    return SchemaValidator(core_schema.str_schema(pattern=pattern)).isinstance_python
