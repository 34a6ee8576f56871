"""Whole numbers."""

from collections.abc import Iterator
from random import Random
from typing import Any, ClassVar

from pydantic_core import CoreSchema, core_schema
from typing_extensions import override

from app.signatures.constraints import EXACT, LARGEST, SMALLEST, STEP, WHOLE
from app.signatures.types.base import FieldType, Schema
from app.signatures.types.sampling import Sample

_DIGITS = 1_000
"""A longer text is no number of ours, and costs to read."""


class IntegerType(FieldType):
    """A whole number of 64 bits; a whole float and a text of digits convert."""

    name = "integer"
    weight = 1
    wrong: ClassVar = (None, True, 4.5, "4.0", "no number", [], {})
    allowed: ClassVar = {"min": WHOLE, "max": WHOLE, "multiple_of": STEP}
    keywords: ClassVar = {"minimum": "min", "maximum": "max", "multipleOf": "multiple_of"}

    @override
    def core_schema(self) -> CoreSchema:
        return core_schema.int_schema(
            ge=self.constraints.get("min", SMALLEST),
            le=self.constraints.get("max", LARGEST),
            multiple_of=self.constraints.get("multiple_of"),
        )

    @override
    def convert(self, value: Any) -> Any:
        return as_whole_number(value)

    @override
    def shape(self) -> Schema:
        return {"type": "integer", **self.told()}

    @override
    def annotation(self) -> Any:
        return int

    @override
    def sample(self, random: Random) -> int:
        step: int = self.constraints.get("multiple_of", 1)
        high: int = self.constraints.get("max", LARGEST)
        low: int = self.constraints.get("min", min(0, high))
        first = -(-low // step) * step
        if first > high:
            first = high // step * step
        room = min(9, max(0, high - first) // step)
        return first + step * random.randint(0, room)

    @override
    def edges(self, random: Random) -> Iterator[Sample]:
        step = self.constraints.get("multiple_of", 1)
        low, high = self.constraints.get("min", SMALLEST), self.constraints.get("max", LARGEST)
        for bound, past in ((low, low - 1), (high, high + 1)):
            if bound % step == 0:
                yield Sample(bound, must_pass=True)
                yield Sample(float(bound) if abs(bound) < EXACT else str(bound), must_pass=True)
            yield Sample(past, must_pass=False)
        if step > 1:
            yield Sample(low - low % step + 1, must_pass=False)


def as_whole_number(value: Any) -> Any:
    """Give the whole number that a whole float or a text of digits with a sign stands for."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case str() if len(value) <= _DIGITS and value.isascii():
            digits = value[1:] if value[:1] in {"+", "-"} else value
            return int(value) if digits.isdigit() else value
        case _:
            return value
