"""From the JSON Schema of a side back to fields, as far as the schema holds what they were."""

from collections.abc import Mapping
from typing import Any

from app.signatures.definition import FieldDefinition
from app.signatures.field import REQUIRED
from app.signatures.types.any import AnyType
from app.signatures.types.atom import AtomType
from app.signatures.types.base import FieldType, Schema
from app.signatures.types.binary import BinaryType
from app.signatures.types.boolean import BooleanType
from app.signatures.types.dict import DictType
from app.signatures.types.float import FloatType
from app.signatures.types.function_call import FunctionCallType
from app.signatures.types.integer import IntegerType
from app.signatures.types.list import ListType
from app.signatures.types.map import MapType
from app.signatures.types.optional import OptionalType
from app.signatures.types.string import StringType
from app.signatures.types.tagged import TaggedType
from app.signatures.types.tool_result import ToolResultType
from app.signatures.types.union import UnionType

_SIMPLE: Mapping[str | None, type[FieldType]] = {
    "string": StringType,
    "integer": IntegerType,
    "number": FloatType,
    "boolean": BooleanType,
    "object": MapType,
    None: AnyType,
}


def read_fields(schema: Schema) -> tuple[FieldDefinition, ...]:
    """Read the fields of a side that `serializers.json_schema` wrote."""
    reader = _Reader(schema.get("$defs", {}))
    return tuple(
        FieldDefinition(
            name,
            reader.type_of(member),
            member.get("description", ""),
            member.get("default", REQUIRED),
        )
        for name, member in schema["properties"].items()
    )


class _Reader:
    def __init__(self, definitions: Mapping[str, Schema]) -> None:
        self._definitions = definitions

    def type_of(self, schema: Schema) -> FieldType:
        """Give the type that writes the schema, the plainest where several do."""
        found: FieldType
        match schema:
            case {"$ref": reference}:
                return self.type_of(self._definitions[reference.removeprefix("#/$defs/")])
            case {"anyOf": members}:
                return self._union(members)
            case {"properties": members}:
                return self._object(members)
            case {"enum": words}:
                return AtomType.of(*words)
            case {"items": item}:
                found = ListType.of(self.type_of(item))
            case {"additionalProperties": value, "propertyNames": key}:
                found = DictType.of(self.type_of(key), self.type_of(value))
            case {"contentEncoding": "base64"}:
                found = BinaryType()
            case _:
                found = _SIMPLE[schema.get("type")]()
        return found.with_constraints(_constraints(found, schema))

    def _union(self, members: list[Schema]) -> FieldType:
        types = [self.type_of(member) for member in members if member != {"type": "null"}]
        union = UnionType.of(*types)
        return union if len(types) == len(members) else OptionalType.of(union)

    def _object(self, members: Mapping[str, Schema]) -> FieldType:
        match members:
            case {"tag": {"const": tag}, "value": value}:
                return TaggedType.of(tag, self.type_of(value))
            case {"name": name, "arguments": _}:
                words = name.get("enum")
                told = {} if words is None else {"allowed_functions": words}
                return FunctionCallType().with_constraints(told)
            case _:
                return ToolResultType()


def _constraints(of: FieldType, schema: Schema) -> dict[str, Any]:
    known = {**of.keywords, **({"pattern": "pattern"} if isinstance(of, StringType) else {})}
    return {name: schema[keyword] for keyword, name in known.items() if keyword in schema}
