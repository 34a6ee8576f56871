"""JSON Schema as OpenAI's strict mode takes it, after the published list of what it supports."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.signatures.types.base import Schema

FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
)
KEYWORDS = frozenset(
    {
        *("type", "description", "enum", "anyOf", "pattern", "format"),
        *("multipleOf", "minimum", "maximum", "minItems", "maxItems"),
        *("items", "properties", "required", "additionalProperties"),
    }
)
MOST_LEVELS = 10
MOST_PROPERTIES = 5_000
MOST_WORDS = 1_000
MOST_CHARACTERS = 120_000
LONG_ENUM = 250
MOST_CHARACTERS_OF_LONG_ENUM = 15_000

_SENTENCES: Mapping[str, str] = {
    "minLength": "Length at least {}.",
    "maxLength": "Length at most {}.",
    "format": "In the format {}.",
    "contentEncoding": "Encoded in {}.",
    "contentMediaType": "Of the media type {}.",
    "uniqueItems": "No item twice.",
    "default": "Default: {}.",
}
"""How a description says what strict mode has no keyword for."""

_NULL = {"type": "null"}


class NotStrictError(Exception):
    """Strict mode has no place for this schema; the message says for what."""


def strict(schema: Schema, notes: list[str]) -> Schema:
    """Give a side's schema in strict form; what moved into descriptions is added to `notes`.

    Raises `NotStrictError`.
    """
    converted = _Converter(notes).converted(schema, "")
    if refusal := next(_over_limits(converted), None):
        raise NotStrictError(refusal)
    return converted


@dataclass(frozen=True)
class _Converter:
    notes: list[str]

    def converted(self, schema: Schema, place: str) -> Schema:
        """Give the schema of the value at the place in strict form."""
        own: Schema = {}
        match schema:
            case {"anyOf": members}:
                own = {"anyOf": [self.converted(member, place) for member in members]}
            case {"properties": members}:
                own = self._object(members, schema["required"], place)
            case {"items": item}:
                own = {"items": self.converted(item, f"{place}[]")}
            case {"const": tag}:
                own = {"enum": [tag]}
            case {"type": "object"}:
                raise NotStrictError(f"{place}: an object with free keys")
            case {"type": _}:
                pass
            case _:
                raise NotStrictError(f"{place}: any JSON value")
        return self._with_keywords({**schema, **own}, place)

    def _object(self, members: Mapping[str, Schema], required: list[str], place: str) -> Schema:
        properties: Schema = {}
        for name, member in members.items():
            inner = f"{place}.{name}" if place else name
            properties[name] = self.converted(member, inner)
            if name not in required:
                properties[name] = self._nullable(properties[name], inner)
        return {"properties": properties, "required": list(properties)}

    def _nullable(self, schema: Schema, place: str) -> Schema:
        if _NULL in schema.get("anyOf", ()):
            return schema
        self.notes.append(f"{place}: null says that it is left out; strict mode requires every key")
        inner = {key: item for key, item in schema.items() if key != "description"}
        words = {"description": schema["description"]} if "description" in schema else {}
        return {"anyOf": [inner, _NULL], **words}

    def _with_keywords(self, schema: Schema, place: str) -> Schema:
        kept, words = {}, [schema["description"]] if "description" in schema else []
        for keyword, value in schema.items():
            if keyword in KEYWORDS and (keyword != "format" or value in FORMATS):
                kept[keyword] = value
            elif keyword in _SENTENCES and value is not False:
                shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                words.append(_SENTENCES[keyword].format(shown))
                self.notes.append(
                    f"{place}: {keyword} is told in words; strict mode has no such keyword"
                )
        return {**kept, "description": " ".join(words)} if words else kept


def _over_limits(schema: Schema) -> Iterator[str]:
    enums = [part["enum"] for part in _parts(schema) if "enum" in part]
    words = [word for enum in enums for word in enum]
    names = [name for part in _parts(schema) for name in part.get("properties", ())]
    if _levels(schema) > MOST_LEVELS:
        yield f"it nests deeper than {MOST_LEVELS} levels"
    if len(names) > MOST_PROPERTIES:
        yield f"more than {MOST_PROPERTIES} properties"
    if len(words) > MOST_WORDS:
        yield f"its enums have more than {MOST_WORDS} values"
    if sum(map(len, words)) + sum(map(len, names)) > MOST_CHARACTERS:
        yield f"its names and values have more than {MOST_CHARACTERS} characters"
    if any(len(enum) > LONG_ENUM and _is_long(enum) for enum in enums):
        yield f"an enum of more than {LONG_ENUM} values is longer than allowed"


def _is_long(enum: list[str]) -> bool:
    return sum(map(len, enum)) > MOST_CHARACTERS_OF_LONG_ENUM


def _parts(schema: Schema) -> Iterator[Schema]:
    yield schema
    for part in _nested(schema):
        yield from _parts(part)


def _nested(schema: Schema) -> list[Schema]:
    items = [schema["items"]] if "items" in schema else []
    return [*schema.get("properties", {}).values(), *schema.get("anyOf", ()), *items]


def _levels(schema: Schema) -> int:
    own: int = schema.get("type") in {"object", "array"}
    inner: Any = max(map(_levels, _nested(schema)), default=0)
    return own + int(inner)
