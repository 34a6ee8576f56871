"""What tools give back."""

from random import Random
from typing import Any

from pydantic import BaseModel
from pydantic_core import CoreSchema, core_schema
from typing_extensions import override

from app.signatures.types.base import (
    WORDS,
    FieldType,
    json_value_schema,
    object_schema,
    plain,
    text_schema,
)


class ToolResult(BaseModel):
    """A tool's name, its result, and what went wrong if anything did."""

    tool: str
    result: Any
    error: str | None = None


class ToolResultType(FieldType):
    """An object {tool, result, error?}; error is text or null."""

    name = "tool_result"

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
    def annotation(self) -> Any:
        return ToolResult

    @override
    def sample(self, random: Random) -> dict[str, Any]:
        return {"tool": random.choice(WORDS), "result": random.choice(WORDS)}
