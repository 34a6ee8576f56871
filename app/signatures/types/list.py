"""Lists of one type."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from random import Random
from types import GenericAlias
from typing import Any, ClassVar

from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from typing_extensions import override

from app.signatures.constraints import COUNT, FLAG
from app.signatures.types.any import AnyType
from app.signatures.types.base import FieldType, Schema, list_schema, one_type
from app.signatures.types.sampling import MOST, Sample

_TRIES = 100
"""Draws for one more different item, before a sample of a unique list gives up."""


@dataclass(frozen=True)
class ListType(FieldType):
    """A list whose items are of one type; `list` alone takes any."""

    item: FieldType

    name = "list"
    weight = 3
    wrong: ClassVar = (None, True, 5, "text", {})
    allowed: ClassVar = {"min_length": COUNT, "max_length": COUNT, "unique": FLAG}
    keywords: ClassVar = {
        "minItems": "min_length",
        "maxItems": "max_length",
        "uniqueItems": "unique",
    }

    @override
    @classmethod
    def of(cls, *arguments: Any) -> "ListType":
        return cls(one_type(cls.name, arguments or (AnyType(),)))

    @property
    @override
    def bare(self) -> str:
        return f"list[{self.item.notation}]"

    @property
    @override
    def parts(self) -> tuple[FieldType, ...]:
        return (self.item,)

    @override
    def core_schema(self) -> CoreSchema:
        schema = list_schema(
            self.item.core_schema(),
            min_length=self.constraints.get("min_length"),
            max_length=self.constraints.get("max_length"),
        )
        if self.constraints.get("unique"):
            return core_schema.no_info_after_validator_function(_check_unique, schema)
        return schema

    @override
    def convert(self, value: Any) -> Any:
        return [self.item.convert(item) for item in value] if isinstance(value, list) else value

    @override
    def shape(self) -> Schema:
        return {"type": "array", "items": self.item.json_schema(), **self.told()}

    @override
    def annotation(self) -> Any:
        return GenericAlias(list, (self.item.annotation(),))

    @override
    def sample(self, random: Random) -> list[Any]:
        length = max(self.constraints.get("min_length", 0), random.randint(1, 3))
        length = min(length, self.constraints.get("max_length", length))
        if not self.constraints.get("unique"):
            return [self.item.sample(random) for _ in range(length)]
        different: dict[Hashable, Any] = {}
        for _ in range(_TRIES * length):
            if len(different) == length:
                break
            item = self.item.sample(random)
            different.setdefault(_identity(item), item)
        return list(different.values())

    @override
    def edges(self, random: Random) -> Iterator[Sample]:
        whole = self.sample(random)
        is_unique = self.constraints.get("unique")
        least, most = (
            self.constraints.get("min_length", 0),
            self.constraints.get("max_length", MOST),
        )
        if 0 < least <= len(whole):
            yield Sample(whole[: least - 1], must_pass=False)
        if not whole:
            return
        if is_unique:
            yield Sample([*whole, whole[0]], must_pass=False)
        if most * self.part_size < MOST:
            yield Sample(whole[:1] * (most + 1), must_pass=False)
        for item in self.item.samples(random):
            if not (is_unique and item.must_pass):
                yield Sample([item.value, *whole[1:]], item.must_pass)


def _check_unique(items: list[Any]) -> list[Any]:
    first: dict[Hashable, int] = {}
    for index, item in enumerate(items):
        earlier = first.setdefault(_identity(item), index)
        if earlier != index:
            raise PydanticCustomError(
                "not_unique",
                "a list of different items (item {index} is item {earlier} again)",
                {"index": index, "earlier": earlier},
            )
    return items


def _identity(value: Any) -> Any:
    """Give what JSON compares: 1 is 1.0, and true is no number."""
    match value:
        case bool():
            return (bool, value)
        case list():
            return (list, tuple(_identity(item) for item in value))
        case dict():
            return (dict, frozenset((key, _identity(item)) for key, item in value.items()))
        case _:
            return value  # text, a number or null: hashable, all of them
