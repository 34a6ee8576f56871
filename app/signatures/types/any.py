"""Any JSON value."""

from collections.abc import Iterator
from random import Random
from typing import Any, ClassVar

from pydantic_core import CoreSchema
from typing_extensions import override

from app.signatures.types.base import WORDS, FieldType, Schema, json_value_schema
from app.signatures.types.sampling import Sample

_OF_EVERY_KIND: tuple[Any, ...] = (None, True, 0, 1.5, "", [], {}, [{"key": [None]}])


class AnyType(FieldType):
    """Any JSON value: numbers finite, whole ones of 64 bits."""

    name = "any"
    wrong: ClassVar = (2**64, -(2**64))

    @override
    def core_schema(self) -> CoreSchema:
        return json_value_schema()

    @override
    def shape(self) -> Schema:
        return {}

    @override
    def annotation(self) -> Any:
        return Any

    @override
    def sample(self, random: Random) -> Any:
        return random.choice(WORDS)

    @override
    def edges(self, random: Random) -> Iterator[Sample]:
        yield from (Sample(value, must_pass=True) for value in _OF_EVERY_KIND)
