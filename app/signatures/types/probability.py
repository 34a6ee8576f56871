"""Probabilities."""

from collections.abc import Iterator
from random import Random
from typing import Any, ClassVar

from pydantic_core import CoreSchema, core_schema
from typing_extensions import override

from app.signatures.types.base import FieldType, Schema
from app.signatures.types.sampling import Sample


class ProbabilityType(FieldType):
    """A number from 0 to 1. Text does not convert."""

    name = "probability"
    wrong: ClassVar = (None, True, "0.5", -0.1, 1.1, [], {})

    @override
    def core_schema(self) -> CoreSchema:
        return core_schema.float_schema(ge=0, le=1, allow_inf_nan=False)

    @override
    def shape(self) -> Schema:
        return {"type": "number", "minimum": 0, "maximum": 1}

    @override
    def annotation(self) -> Any:
        return float

    @override
    def sample(self, random: Random) -> float:
        return round(random.random(), 2)

    @override
    def edges(self, random: Random) -> Iterator[Sample]:
        for value in (0, 1, 0.5):
            yield Sample(value, must_pass=True)
