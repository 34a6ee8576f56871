"""Any JSON value."""

from random import Random
from typing import Any

from pydantic_core import CoreSchema
from typing_extensions import override

from app.signatures.types.base import WORDS, FieldType, json_value_schema


class AnyType(FieldType):
    """Any JSON value: numbers finite, whole ones of 64 bits."""

    name = "any"

    @override
    def core_schema(self) -> CoreSchema:
        return json_value_schema()

    @override
    def annotation(self) -> Any:
        return Any

    @override
    def sample(self, random: Random) -> Any:
        return random.choice(WORDS)
