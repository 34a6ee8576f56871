"""JSON Schema (draft 2020-12) of types and of the sides of a signature: values as they stand."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from app.signatures.field import REQUIRED, FieldDefinition
from app.signatures.types.base import FieldType

Schema = dict[str, Any]


def side_schema(fields: Sequence[FieldDefinition], *, complete: bool = False) -> Schema:
    """Give the schema of a side's values; `complete` where defaults have been filled in."""
    return {
        "type": "object",
        "properties": {field.name: _field_schema(field) for field in fields},
        "required": [field.name for field in fields if complete or field.is_required],
        "additionalProperties": False,
    }


def type_schema(field_type: FieldType) -> Schema:
    """Give the schema of a type with its constraints, as far as JSON Schema can say them."""
    return _WRITERS[field_type.name](field_type)


def _field_schema(field: FieldDefinition) -> Schema:
    schema = type_schema(field.type)
    if field.description:
        schema["description"] = field.description
    if field.default is not REQUIRED:
        schema["default"] = field.default
    return schema


def _told(field_type: FieldType, **keywords: str) -> Schema:
    """Give the constraints that are set, under JSON Schema's keywords for them."""
    constraints = field_type.constraints
    return {key: constraints[name] for key, name in keywords.items() if name in constraints}


def _string(of: Any) -> Schema:
    told = _told(
        of, minLength="min_length", maxLength="max_length", pattern="pattern", format="format"
    )
    return {"type": "string", **told}


def _integer(of: Any) -> Schema:
    return {"type": "integer", **_told(of, minimum="min", maximum="max", multipleOf="multiple_of")}


def _float(of: Any) -> Schema:
    return {"type": "number", **_told(of, minimum="min", maximum="max")}


def _boolean(_: Any) -> Schema:
    return {"type": "boolean"}


def _atom(of: Any) -> Schema:
    return {"type": "string", **_told(of, enum="one_of")}


def _any(_: Any) -> Schema:
    return {}


def _map(of: Any) -> Schema:
    told = _told(of, minProperties="min_size", maxProperties="max_size", required="required_keys")
    return {"type": "object", **told}


def _binary(of: Any) -> Schema:
    told = _told(of, contentMediaType="media_type")
    return {"type": "string", "contentEncoding": "base64", **told}


def _embedding(of: Any) -> Schema:
    number = {"type": "number", **_told(of, minimum="min_value", maximum="max_value")}
    return {
        "type": "array",
        "items": number,
        **_told(of, minItems="dimensions", maxItems="dimensions"),
    }


def _probability(_: Any) -> Schema:
    return {"type": "number", "minimum": 0, "maximum": 1}


def _reasoning_chain(of: Any) -> Schema:
    step = {"type": "string", **_told(of, pattern="step_format")}
    return {"type": "array", "items": step, **_told(of, maxItems="max_steps")}


def _token_count(of: Any) -> Schema:
    return {"type": "integer", "minimum": 0, **_told(of, maximum="max_tokens")}


def _model_output(of: Any) -> Schema:
    text = {"type": "string", **_told(of, maxLength="max_length")}
    return {"anyOf": [text, {"type": "object"}]}


def _prompt_template(of: Any) -> Schema:
    return {"type": "string", **_told(of, maxLength="max_length")}


def _function_call(of: Any) -> Schema:
    name = {"type": "string", **_told(of, enum="allowed_functions")}
    return _object({"name": name, "arguments": {"type": "object"}})


def _tool_result(_: Any) -> Schema:
    members: Schema = {
        "tool": {"type": "string"},
        "result": {},
        "error": {"type": ["string", "null"]},
    }
    return {**_object(members), "required": ["tool", "result"]}


def _list(of: Any) -> Schema:
    told = _told(of, minItems="min_length", maxItems="max_length", uniqueItems="unique")
    return {"type": "array", "items": type_schema(of.item), **told}


def _dict(of: Any) -> Schema:
    keys, values = type_schema(of.key), type_schema(of.value)
    return {**_map(of), "propertyNames": keys, "additionalProperties": values}


def _union(of: Any) -> Schema:
    return {"anyOf": [type_schema(member) for member in of.members]}


def _optional(of: Any) -> Schema:
    return {"anyOf": [type_schema(of.inner), {"type": "null"}]}


def _tagged(of: Any) -> Schema:
    return _object({"tag": {"const": of.tag}, "value": type_schema(of.inner)})


def _object(members: Mapping[str, Schema]) -> Schema:
    return {
        "type": "object",
        "properties": dict(members),
        "required": list(members),
        "additionalProperties": False,
    }


_WRITERS: Mapping[str, Callable[[Any], Schema]] = MappingProxyType(
    {
        "string": _string,
        "integer": _integer,
        "float": _float,
        "boolean": _boolean,
        "atom": _atom,
        "any": _any,
        "map": _map,
        "binary": _binary,
        "embedding": _embedding,
        "probability": _probability,
        "confidence_score": _probability,
        "reasoning_chain": _reasoning_chain,
        "token_count": _token_count,
        "model_output": _model_output,
        "prompt_template": _prompt_template,
        "function_call": _function_call,
        "tool_result": _tool_result,
        "list": _list,
        "dict": _dict,
        "union": _union,
        "optional": _optional,
        "tagged": _tagged,
    }
)
"""How each type is written, by its name."""
