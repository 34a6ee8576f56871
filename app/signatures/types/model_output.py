"""What a model said, as it came."""

from collections.abc import Iterator
from random import Random
from typing import Any, ClassVar

from pydantic_core import CoreSchema, PydanticKnownError, core_schema
from typing_extensions import override

from app.signatures.constraints import COUNT
from app.signatures.types.base import FieldType, Schema, json_value_schema, text_schema
from app.signatures.types.sampling import Sample
from app.signatures.types.string import length_edges, text_sample


class ModelOutputType(FieldType):
    """Text or an object; `max_length` bounds the text alone."""

    name = "model_output"
    wrong: ClassVar = (None, True, 5, [])
    allowed: ClassVar = {"max_length": COUNT}
    keywords: ClassVar = {"maxLength": "max_length"}

    @override
    def core_schema(self) -> CoreSchema:
        schema = core_schema.union_schema(
            [text_schema(), core_schema.dict_schema(text_schema(), json_value_schema())],
            mode="left_to_right",
            custom_error_type="type",
            custom_error_message="text or an object",
        )
        return core_schema.no_info_after_validator_function(self._check, schema)

    def _check(self, value: str | dict[str, Any]) -> str | dict[str, Any]:
        if isinstance(value, str) and len(value) > self.constraints.get("max_length", len(value)):
            limit = {"max_length": self.constraints["max_length"]}
            raise PydanticKnownError("string_too_long", limit)
        return value

    @override
    def shape(self) -> Schema:
        return {"anyOf": [{"type": "string", **self.told()}, {"type": "object"}]}

    @override
    def annotation(self) -> Any:
        return str | dict[str, Any]

    @override
    def sample(self, random: Random) -> str:
        return text_sample(random, max_length=self.constraints.get("max_length"))

    @override
    def edges(self, random: Random) -> Iterator[Sample]:
        yield Sample({"text": "any object"}, must_pass=True)
        yield from length_edges(self.constraints, is_plain=True)
