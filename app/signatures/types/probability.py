"""Probabilities."""

from random import Random
from typing import Any

from pydantic_core import CoreSchema, core_schema
from typing_extensions import override

from app.signatures.types.base import FieldType


class ProbabilityType(FieldType):
    """A number from 0 to 1. Text does not convert."""

    name = "probability"

    @override
    def core_schema(self) -> CoreSchema:
        return core_schema.float_schema(ge=0, le=1, allow_inf_nan=False)

    @override
    def annotation(self) -> Any:
        return float

    @override
    def sample(self, random: Random) -> float:
        return round(random.random(), 2)
