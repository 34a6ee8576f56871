"""Calls that a model asks for."""

from random import Random
from typing import Any, ClassVar

from pydantic import BaseModel
from pydantic_core import CoreSchema, core_schema
from typing_extensions import override

from app.signatures.constraints import NAMES
from app.signatures.types.base import (
    WORDS,
    FieldType,
    json_value_schema,
    object_schema,
    plain,
    text_schema,
)


class FunctionCall(BaseModel):
    """A function's name and what it is called with."""

    name: str
    arguments: dict[str, Any]


class FunctionCallType(FieldType):
    """An object {name, arguments}; the name out of `allowed_functions`, where that is given."""

    name = "function_call"
    allowed: ClassVar = {"allowed_functions": NAMES}

    @override
    def core_schema(self) -> CoreSchema:
        names = self.constraints.get("allowed_functions")
        name = core_schema.literal_schema(names) if names else text_schema(min_length=1)
        arguments = core_schema.dict_schema(text_schema(), json_value_schema())
        return object_schema({"name": name, "arguments": arguments})

    @override
    def convert(self, value: Any) -> Any:
        return plain(value)

    @override
    def annotation(self) -> Any:
        return FunctionCall

    @override
    def sample(self, random: Random) -> dict[str, Any]:
        name = random.choice(self.constraints.get("allowed_functions", WORDS))
        return {"name": name, "arguments": {"value": random.choice(WORDS)}}
