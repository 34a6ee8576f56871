"""The definition of a tool as Anthropic takes it."""

import re
from collections.abc import Iterator, Sequence

from app.signatures.definition import Side
from app.signatures.field import FieldDefinition
from app.signatures.serializers.base import NamedSignature, Serialized
from app.signatures.serializers.json_schema import schema_notes, shared_schema
from app.signatures.serializers.names import tool_name
from app.signatures.types.base import Schema

_KEY = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def serialize(signature: NamedSignature, side: Side) -> Serialized:
    """Write the side as the input schema of a tool."""
    fields = signature.definition.fields(side)
    tool: Schema = {"name": tool_name(signature.name), "input_schema": shared_schema(fields)}
    if signature.definition.instructions:
        tool["description"] = signature.definition.instructions
    return Serialized(tool, tuple(schema_notes(fields)), tuple(_refusals(fields)))


def _refusals(fields: Sequence[FieldDefinition]) -> Iterator[str]:
    for field in fields:
        if not _KEY.fullmatch(field.name):
            yield f"{field.name}: its keys are ASCII letters, digits, _, . and -"
