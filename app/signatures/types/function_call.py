"""Calls that a model asks for."""

from collections.abc import Iterator
from random import Random
from typing import Any, ClassVar

from pydantic import BaseModel
from pydantic_core import CoreSchema, core_schema
from typing_extensions import override

from app.signatures.constraints import NAMES
from app.signatures.types.base import (
    WORDS,
    FieldType,
    Schema,
    json_value_schema,
    object_schema,
    object_shape,
    plain,
    text_schema,
)
from app.signatures.types.sampling import MOST_NAMED, Sample


class FunctionCall(BaseModel):
    """A function's name and what it is called with."""

    name: str
    arguments: dict[str, Any]


class FunctionCallType(FieldType):
    """An object {name, arguments}; the name out of `allowed_functions`, where that is given."""

    name = "function_call"
    wrong: ClassVar = (None, True, "text", [], {}, {"name": "", "arguments": {}}, {"name": "f"})
    allowed: ClassVar = {"allowed_functions": NAMES}
    keywords: ClassVar = {"enum": "allowed_functions"}

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
    def shape(self) -> Schema:
        name = {"type": "string", **(self.told() or {"minLength": 1})}
        return object_shape({"name": name, "arguments": {"type": "object"}})

    @override
    def annotation(self) -> Any:
        return FunctionCall

    @override
    def sample(self, random: Random) -> dict[str, Any]:
        name = random.choice(self.constraints.get("allowed_functions", WORDS))
        return {"name": name, "arguments": {"value": random.choice(WORDS)}}

    @override
    def edges(self, random: Random) -> Iterator[Sample]:
        names = self.constraints.get("allowed_functions", ())
        for name in names[:MOST_NAMED]:
            yield Sample({"name": name, "arguments": {}}, must_pass=True)
        if names:
            other = "_".join(names)
            yield Sample({"name": other, "arguments": {}}, must_pass=other in names)
        yield Sample({"name": self.sample(random)["name"], "arguments": []}, must_pass=False)
