"""Vectors of numbers."""

from random import Random
from typing import Any, ClassVar

from pydantic_core import CoreSchema, core_schema
from typing_extensions import override

from app.signatures.constraints import COUNT, NUMBER
from app.signatures.types.base import MOST_SAMPLED, FieldType, list_schema
from app.signatures.types.float import number_sample

_SAMPLE_DIMENSIONS = 3


class EmbeddingType(FieldType):
    """A list of finite numbers; whole ones become floats, texts do not."""

    name = "embedding"
    allowed: ClassVar = {"dimensions": COUNT, "min_value": NUMBER, "max_value": NUMBER}

    @override
    def core_schema(self) -> CoreSchema:
        number = core_schema.float_schema(
            ge=self.constraints.get("min_value"),
            le=self.constraints.get("max_value"),
            allow_inf_nan=False,
        )
        dimensions = self.constraints.get("dimensions")
        return list_schema(number, min_length=dimensions, max_length=dimensions)

    @override
    def annotation(self) -> Any:
        return list[float]

    @override
    def sample(self, random: Random) -> list[float]:
        low, high = self.constraints.get("min_value"), self.constraints.get("max_value")
        dimensions = min(self.constraints.get("dimensions", _SAMPLE_DIMENSIONS), MOST_SAMPLED)
        return [number_sample(random, low, high) for _ in range(dimensions)]
