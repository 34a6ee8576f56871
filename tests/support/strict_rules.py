"""OpenAI's published rules of strict mode, as a check that knows nothing of our serializer."""

from collections.abc import Iterator
from typing import Any

_ALLOWED = {
    "string": {"enum", "pattern", "format"},
    "number": {"multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum"},
    "integer": {"multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum"},
    "array": {"items", "minItems", "maxItems"},
    "object": {"properties", "required", "additionalProperties"},
    "boolean": set(),
    "null": set(),
}
_FORMATS = {
    *("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"),
}


def strict_faults(schema: dict[str, Any]) -> list[str]:
    """Give every rule that the parameters of a strict function break."""
    faults = list(_faults(schema, "#"))
    if schema.get("type") != "object":
        faults.append("#: the root must be an object")
    if _depth(schema) > 10:
        faults.append("#: deeper than 10 levels")
    return faults


def _faults(schema: dict[str, Any], at: str) -> Iterator[str]:
    if "anyOf" in schema:
        if schema.keys() - {"anyOf", "description"}:
            yield f"{at}: {sorted(schema)} beside anyOf"
    elif schema.get("type") not in _ALLOWED:
        yield f"{at}: no type"
    else:
        yield from _own_faults(schema, at)
    for index, member in enumerate(_nested(schema)):
        yield from _faults(member, f"{at}/{index}")


def _own_faults(schema: dict[str, Any], at: str) -> Iterator[str]:
    for keyword in schema.keys() - {"type", "description", *_ALLOWED[schema["type"]]}:
        yield f"{at}: {keyword} is not supported"
    if schema.get("format", "date") not in _FORMATS:
        yield f"{at}: the format {schema['format']} is not supported"
    if schema["type"] == "object" and schema["additionalProperties"] is not False:
        yield f"{at}: additional properties"
    if list(schema.get("required", ())) != list(schema.get("properties", ())):
        yield f"{at}: not every property is required"


def _nested(schema: dict[str, Any]) -> list[dict[str, Any]]:
    items = [schema["items"]] if "items" in schema else []
    return [*schema.get("properties", {}).values(), *schema.get("anyOf", ()), *items]


def _depth(schema: dict[str, Any]) -> int:
    own = 1 if schema.get("type") == "object" else 0
    return own + max(map(_depth, _nested(schema)), default=0)
