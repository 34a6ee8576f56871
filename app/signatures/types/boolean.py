"""True or false."""

from random import Random
from typing import Any

from pydantic_core import CoreSchema, core_schema
from typing_extensions import override

from app.signatures.types.base import FieldType


class BooleanType(FieldType):
    """True or false; "true", "false", 1 and 0 convert."""

    name = "boolean"

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
    def annotation(self) -> Any:
        return bool

    @override
    def sample(self, random: Random) -> bool:
        return random.choice((True, False))
