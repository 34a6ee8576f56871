"""Objects whose members are of one type."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from types import GenericAlias
from typing import Any, ClassVar

from pydantic_core import CoreSchema, core_schema
from typing_extensions import override

from app.signatures.types.atom import AtomType
from app.signatures.types.base import FieldType, Schema, TypeArgumentsError
from app.signatures.types.map import MapType, member_edges, with_required_keys
from app.signatures.types.sampling import Sample
from app.signatures.types.string import StringType

_TRIES = 100
"""Draws for one more different key, before a sample gives up."""


@dataclass(frozen=True)
class DictType(FieldType):
    """An object with keys of one type and values of another; `dict` alone is `map`."""

    key: FieldType
    value: FieldType

    name = "dict"
    weight = 4
    wrong: ClassVar = (None, True, 5, "text", [])
    allowed: ClassVar = MapType.allowed
    keywords: ClassVar = MapType.keywords

    @override
    @classmethod
    def of(cls, *arguments: Any) -> FieldType:
        match arguments:
            case ():
                return MapType()
            case (StringType() | AtomType() as key, FieldType() as value):
                return cls(key, value)
            case _:
                raise TypeArgumentsError("dict takes two types, the first a string or an atom")

    @property
    @override
    def bare(self) -> str:
        return f"dict[{self.key.notation}, {self.value.notation}]"

    @property
    @override
    def parts(self) -> tuple[FieldType, ...]:
        return (self.key, self.value)

    @override
    def core_schema(self) -> CoreSchema:
        schema = core_schema.dict_schema(
            self.key.core_schema(),
            self.value.core_schema(),
            min_length=self.constraints.get("min_size"),
            max_length=self.constraints.get("max_size"),
        )
        return with_required_keys(schema, self.constraints.get("required_keys", ()))

    @override
    def convert(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: self.value.convert(item) for key, item in value.items()}

    @override
    def shape(self) -> Schema:
        return {
            "type": "object",
            "propertyNames": self.key.json_schema(),
            "additionalProperties": self.value.json_schema(),
            **self.told(),
        }

    @override
    def annotation(self) -> Any:
        return GenericAlias(dict, (self.key.annotation(), self.value.annotation()))

    @override
    def sample(self, random: Random) -> dict[str, Any]:
        keys = dict.fromkeys(self.constraints.get("required_keys", ()))
        size = max(len(keys), self.constraints.get("min_size", 0))
        for _ in range(_TRIES * size):
            if len(keys) >= size:
                break
            keys[self.key.sample(random)] = None
        return {key: self.value.sample(random) for key in keys}

    @override
    def edges(self, random: Random) -> Iterator[Sample]:
        whole, value = self.sample(random), self.value.sample(random)
        yield from member_edges(self, whole, value)
        key = next(iter(whole), None) or self.key.sample(random)
        has_room = whole or self.constraints.get("max_size") != 0
        for item in self.value.samples(random):
            if has_room or not item.must_pass:
                yield Sample({**whole, key: item.value}, item.must_pass)
        for other in self.key.samples(random):
            if isinstance(other.value, str) and not other.must_pass:
                yield Sample({**whole, other.value: value}, must_pass=False)
