"""What a model said, as it came."""

from random import Random
from typing import Any, ClassVar

from pydantic_core import CoreSchema, PydanticKnownError, core_schema
from typing_extensions import override

from app.signatures.constraints import COUNT
from app.signatures.types.base import FieldType, json_value_schema, text_schema
from app.signatures.types.string import text_sample


class ModelOutputType(FieldType):
    """Text or an object; `max_length` bounds the text alone."""

    name = "model_output"
    allowed: ClassVar = {"max_length": COUNT}

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
    def annotation(self) -> Any:
        return str | dict[str, Any]

    @override
    def sample(self, random: Random) -> str:
        return text_sample(random, max_length=self.constraints.get("max_length"))
