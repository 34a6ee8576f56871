"""True or false."""

from collections.abc import Iterator
from random import Random
from typing import Any, ClassVar

from pydantic_core import CoreSchema, core_schema
from typing_extensions import override

from app.signatures.types.base import FieldType, Schema
from app.signatures.types.sampling import Sample


class BooleanType(FieldType):
    """True or false; "true", "false", 1 and 0 convert."""

    name = "boolean"
    weight = 1
    wrong: ClassVar = (None, 2, "yes", 1.0, [], {})

    @override
    def core_schema(self) -> CoreSchema:
        return core_schema.bool_schema()

    @override
    def convert(self, value: Any) -> Any:
        match value:
            case bool() | float():
                return value
            case "true" | 1:
                return True
            case "false" | 0:
                return False
            case _:
                return value

    @override
    def shape(self) -> Schema:
        return {"type": "boolean"}

    @override
    def annotation(self) -> Any:
        return bool

    @override
    def sample(self, random: Random) -> bool:
        return random.choice((True, False))

    @override
    def edges(self, random: Random) -> Iterator[Sample]:
        for value in (True, False, "true", "false", 1, 0):
            yield Sample(value, must_pass=True)
