"""What tools give back."""

from collections.abc import Iterator
from random import Random
from typing import Any, ClassVar

from pydantic import BaseModel
from pydantic_core import CoreSchema, core_schema
from typing_extensions import override

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
from app.signatures.types.sampling import Sample


class ToolResult(BaseModel):
    """A tool's name, its result, and what went wrong if anything did."""

    tool: str
    result: Any
    error: str | None = None


class ToolResultType(FieldType):
    """An object {tool, result, error?}; error is text or null."""

    name = "tool_result"
    wrong: ClassVar = (None, True, "text", [], {}, {"tool": "t"}, {"tool": "", "result": 1})

    @override
    def core_schema(self) -> CoreSchema:
        return object_schema(
            {
                "tool": text_schema(min_length=1),
                "result": json_value_schema(),
                "error": core_schema.nullable_schema(text_schema()),
            },
            optional={"error"},
        )

    @override
    def convert(self, value: Any) -> Any:
        return plain(value)

    @override
    def shape(self) -> Schema:
        members: Schema = {
            "tool": {"type": "string", "minLength": 1},
            "result": {},
            "error": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        }
        return object_shape(members, optional={"error"})

    @override
    def annotation(self) -> Any:
        return ToolResult

    @override
    def sample(self, random: Random) -> dict[str, Any]:
        return {"tool": random.choice(WORDS), "result": random.choice(WORDS)}

    @override
    def edges(self, random: Random) -> Iterator[Sample]:
        for error in (None, "it failed"):
            yield Sample({"tool": "search", "result": None, "error": error}, must_pass=True)
        yield Sample({"tool": "search", "result": 1, "error": 5}, must_pass=False)
