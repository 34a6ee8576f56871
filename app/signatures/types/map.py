"""JSON objects."""

from collections.abc import Sequence
from random import Random
from typing import Any, ClassVar

from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from typing_extensions import override

from app.signatures.constraints import COUNT, NAMES
from app.signatures.types.base import MOST_SAMPLED, FieldType, json_value_schema, text_schema


class MapType(FieldType):
    """A JSON object with any members."""

    name = "map"
    allowed: ClassVar = {"required_keys": NAMES, "min_size": COUNT, "max_size": COUNT}

    @override
    def core_schema(self) -> CoreSchema:
        schema = core_schema.dict_schema(
            text_schema(),
            json_value_schema(),
            min_length=self.constraints.get("min_size"),
            max_length=self.constraints.get("max_size"),
        )
        return with_required_keys(schema, self.constraints.get("required_keys", ()))

    @override
    def annotation(self) -> Any:
        return dict[str, Any]

    @override
    def sample(self, random: Random) -> dict[str, Any]:
        keys = list(self.constraints.get("required_keys", ()))
        more = min(self.constraints.get("min_size", 0), MOST_SAMPLED) - len(keys)
        keys += [f"key_{number}" for number in range(more)]
        return {key: random.randint(0, 9) for key in keys}


def with_required_keys(schema: CoreSchema, keys: Sequence[str]) -> CoreSchema:
    """Give the schema of objects narrowed to those that have the keys."""
    if not keys:
        return schema

    def check(value: dict[str, Any]) -> dict[str, Any]:
        missing = [key for key in keys if key not in value]
        if missing:
            raise PydanticCustomError(
                "missing_keys", "an object with {keys}", {"keys": ", ".join(missing)}
            )
        return value

    return core_schema.no_info_after_validator_function(check, schema)
