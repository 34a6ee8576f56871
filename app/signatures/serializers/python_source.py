"""From the JSON Schema of a type to the annotation that says the same in Python."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from typing import Any

from app.signatures.serializers.names import class_name
from app.signatures.types.base import Schema

_ARGUMENTS: Mapping[str, str] = {
    "minimum": "ge",
    "maximum": "le",
    "multipleOf": "multiple_of",
    "minLength": "min_length",
    "maxLength": "max_length",
    "pattern": "pattern",
    "minItems": "min_length",
    "maxItems": "max_length",
    "minProperties": "min_length",
    "maxProperties": "max_length",
}
"""What pydantic's `Field` calls JSON Schema's keywords."""

_UNTOLD = ("format", "uniqueItems", "contentMediaType")
_NAMES: Mapping[Any, str] = {
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "null": "None",
    "string": "str",
    None: "Any",
}
USED = frozenset(
    {"Annotated", "Any", "BaseModel", "Field", "Literal", "bytes", "dict", "dspy", "list"}
    | set(_NAMES.values())
)
"""The names that annotations are made of, which no class and no field may have."""


class PythonSource:
    """Writes annotations; their classes gather in `classes`, what is lost in `notes`."""

    def __init__(self, reserved: Iterable[str]) -> None:
        self.classes: list[str] = []
        self.notes: list[str] = []
        self._named: dict[str, str] = {}
        self._names: dict[str, Iterator[str]] = {}
        self._taken = {*USED, *reserved}

    def typed(self, schema: Schema, place: str) -> tuple[str, dict[str, Any]]:
        """Give the annotation, and apart from it the arguments of `Field` for its constraints."""
        is_bytes = "contentEncoding" in schema
        arguments = {
            _ARGUMENTS[keyword]: value
            for keyword, value in schema.items()
            if keyword in _ARGUMENTS and not is_bytes
        }
        self.notes += [
            f"{place}: Python's types have no place for {keyword}"
            for keyword in _UNTOLD
            if schema.get(keyword)
        ]
        return self._bare(schema, place), arguments

    def _nested(self, schema: Schema, place: str) -> str:
        annotation, arguments = self.typed(schema, place)
        if not arguments:
            return annotation
        given = ", ".join(f"{name}={literal(value)}" for name, value in arguments.items())
        return f"Annotated[{annotation}, Field({given})]"

    def _bare(self, schema: Schema, place: str) -> str:
        match schema:
            case {"anyOf": members}:
                found = " | ".join(self._nested(member, place) for member in members)
            case {"enum": words}:
                found = f"Literal[{', '.join(map(literal, words))}]"
            case {"const": word}:
                found = f"Literal[{literal(word)}]"
            case {"contentEncoding": _}:
                found = "bytes"
            case {"items": item}:
                found = f"list[{self._nested(item, place)}]"
            case {"properties": members}:
                found = self._class(members, schema["required"], place)
            case {"type": "object"}:
                found = self._mapping(schema, place)
            case _:
                found = _NAMES[schema.get("type")]
        return found

    def _mapping(self, schema: Schema, place: str) -> str:
        if "required" in schema:
            self.notes.append(f"{place}: Python's types have no place for required keys")
        key = self._nested(schema.get("propertyNames", {"type": "string"}), place)
        value = self._nested(schema.get("additionalProperties", {}), place)
        return f"dict[{key}, {value}]"

    def _class(self, members: Mapping[str, Schema], required: list[str], place: str) -> str:
        lines = [
            f"    {name}: {self._nested(member, place)}{'' if name in required else ' = None'}"
            for name, member in members.items()
        ]
        body = "\n".join(lines)
        if body not in self._named:
            self._named[body] = self._free_name(class_name(place))
            self.classes.append(f"class {self._named[body]}(BaseModel):\n{body}")
        return self._named[body]

    def _free_name(self, wanted: str) -> str:
        names = self._names.setdefault(wanted, _numbered(wanted))  # goes on where it stopped
        name = next(name for name in names if name not in self._taken)
        self._taken.add(name)
        return name


def _numbered(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}{number}" for number in count(2))


def literal(value: Any) -> str:
    """Give the value as Python's source writes it, texts in double quotes where that is plain."""
    if isinstance(value, str) and value.isprintable() and not {'"', "\\"} & set(value):
        return f'"{value}"'
    return repr(value)
