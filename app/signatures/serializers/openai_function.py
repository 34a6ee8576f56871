"""The definition of a tool as OpenAI takes it, in strict mode where the types allow that."""

from app.signatures.definition import Side
from app.signatures.serializers.base import NamedSignature, Serialized
from app.signatures.serializers.json_schema import schema_notes, shared_schema, side_schema
from app.signatures.serializers.names import tool_name
from app.signatures.serializers.strict import NotStrictError, strict
from app.signatures.types.base import Schema


def serialize(signature: NamedSignature, side: Side) -> Serialized:
    """Write the side as the parameters of a function."""
    fields = signature.definition.fields(side)
    notes = list(schema_notes(fields))
    try:
        parameters: Schema = strict(side_schema(fields), notes)
        is_strict = True
    except NotStrictError as error:
        notes = [*schema_notes(fields), f"not strict: strict mode does not take {error}"]
        parameters, is_strict = shared_schema(fields), False
    function: Schema = {"name": tool_name(signature.name), "parameters": parameters}
    if signature.definition.instructions:
        function["description"] = signature.definition.instructions
    document = {"type": "function", "function": {**function, "strict": is_strict}}
    return Serialized(document, tuple(notes))
