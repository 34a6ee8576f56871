"""JSON Schema, draft 2020-12: values as they stand, for any validator."""

from collections.abc import Iterator, Sequence

from app.signatures.definition import Side
from app.signatures.faults import cut
from app.signatures.field import REQUIRED, FieldDefinition
from app.signatures.serializers.base import NamedSignature, Serialized
from app.signatures.serializers.sharing import shared
from app.signatures.types.base import FieldType, Schema

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def serialize(signature: NamedSignature, side: Side) -> Serialized:
    """Write the side as a schema of its own."""
    fields = signature.definition.fields(side)
    head: Schema = {"$schema": DRAFT, "title": signature.name}
    if signature.definition.instructions:
        head["description"] = signature.definition.instructions
    return Serialized({**head, **shared_schema(fields)}, tuple(schema_notes(fields)))


def shared_schema(fields: Sequence[FieldDefinition]) -> Schema:
    """Give the schema of a side, in which what stands in it more than once is written once."""
    return shared(side_schema(fields), [field.type for field in fields])


def side_schema(fields: Sequence[FieldDefinition], *, complete: bool = False) -> Schema:
    """Give the schema of a side's values; `complete` where defaults have been filled in."""
    return {
        "type": "object",
        "properties": {field.name: field_schema(field) for field in fields},
        "required": [field.name for field in fields if complete or field.is_required],
        "additionalProperties": False,
    }


def field_schema(field: FieldDefinition) -> Schema:
    """Give the schema of a field's values, with its description and default."""
    schema = field.type.json_schema()
    words = " ".join(filter(None, (field.description, schema.get("description"))))
    if words:
        schema["description"] = words
    if field.default is not REQUIRED:
        schema["default"] = field.default
    return schema


def schema_notes(fields: Sequence[FieldDefinition]) -> Iterator[str]:
    """Say what stands in descriptions alone, because JSON Schema has no keyword for it."""
    for field in fields:
        for part in every_part(field.type):
            for remark in part.remarks():
                yield f"{field.name}: {cut(part.notation)} is told in words: {remark}"


def every_part(field_type: FieldType) -> Iterator[FieldType]:
    """Give the type and every type within it."""
    yield field_type
    for part in field_type.parts:
        yield from every_part(part)
