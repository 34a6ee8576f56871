"""Lists of one type."""

from collections.abc import Hashable
from dataclasses import dataclass
from random import Random
from types import GenericAlias
from typing import Any, ClassVar

from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from typing_extensions import override

from app.signatures.constraints import COUNT, FLAG
from app.signatures.types.any import AnyType
from app.signatures.types.base import MOST_SAMPLED, FieldType, list_schema, one_type

_TRIES = 100
"""Draws for one more different item, before a sample of a unique list gives up."""


@dataclass(frozen=True)
class ListType(FieldType):
    """A list whose items are of one type; `list` alone takes any."""

    item: FieldType

    name = "list"
    allowed: ClassVar = {"min_length": COUNT, "max_length": COUNT, "unique": FLAG}

    @override
    @classmethod
    def of(cls, *arguments: Any) -> "ListType":
        return cls(one_type(cls.name, arguments or (AnyType(),)))

    @property
    @override
    def bare(self) -> str:
        return f"list[{self.item.notation}]"

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
    def annotation(self) -> Any:
        return GenericAlias(list, (self.item.annotation(),))

    @override
    def sample(self, random: Random) -> list[Any]:
        length = max(self.constraints.get("min_length", 0), random.randint(1, 3))
        length = min(length, self.constraints.get("max_length", length), MOST_SAMPLED)
        if not self.constraints.get("unique"):
            return [self.item.sample(random) for _ in range(length)]
        different: dict[Hashable, Any] = {}
        for _ in range(min(_TRIES * length, MOST_SAMPLED)):
            if len(different) == length:
                break
            item = self.item.sample(random)
            different.setdefault(_identity(item), item)
        return list(different.values())


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
