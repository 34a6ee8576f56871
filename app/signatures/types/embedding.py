"""Vectors of numbers."""

import math
from collections.abc import Iterator
from random import Random
from typing import Any, ClassVar

from pydantic_core import CoreSchema, core_schema
from typing_extensions import override

from app.signatures.constraints import COUNT, NUMBER
from app.signatures.types.base import FieldType, Schema, list_schema
from app.signatures.types.float import number_sample, past_bound
from app.signatures.types.sampling import Sample

_SAMPLE_DIMENSIONS = 3


class EmbeddingType(FieldType):
    """A list of finite numbers; whole ones become floats, texts do not."""

    name = "embedding"
    wrong: ClassVar = (None, True, 5, "text", {}, ["1"], [True], [None])
    allowed: ClassVar = {"dimensions": COUNT, "min_value": NUMBER, "max_value": NUMBER}
    keywords: ClassVar = {"minItems": "dimensions", "maxItems": "dimensions"}

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
    def shape(self) -> Schema:
        bounds = {"minimum": "min_value", "maximum": "max_value"}
        number = {
            keyword: self.constraints[name]
            for keyword, name in bounds.items()
            if name in self.constraints
        }
        return {"type": "array", "items": {"type": "number", **number}, **self.told()}

    @override
    def annotation(self) -> Any:
        return list[float]

    @override
    def sample(self, random: Random) -> list[float]:
        low, high = self.constraints.get("min_value"), self.constraints.get("max_value")
        dimensions = self.constraints.get("dimensions", _SAMPLE_DIMENSIONS)
        return [number_sample(random, low, high) for _ in range(dimensions)]

    @override
    def edges(self, random: Random) -> Iterator[Sample]:
        whole = self.sample(random)
        if "dimensions" in self.constraints:
            yield Sample([*whole, 0.0], must_pass=False)
        if whole:
            rest = whole[1:]
            for name, outwards in (("min_value", -math.inf), ("max_value", math.inf)):
                bound = self.constraints.get(name)
                if bound is not None:
                    yield Sample([float(bound), *rest], must_pass=True)
                    for past in past_bound(bound, outwards, is_rounded=False):
                        yield Sample([past.value, *rest], must_pass=False)
