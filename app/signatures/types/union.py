"""One of several types."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import or_
from random import Random
from typing import Any

from pydantic_core import CoreSchema, core_schema
from typing_extensions import override

from app.signatures.types.base import FieldType, Schema, TypeArgumentsError
from app.signatures.types.optional import OptionalType
from app.signatures.types.sampling import MOST_NAMED, Sample


@dataclass(frozen=True)
class UnionType(FieldType):
    """The first member that accepts the value as it stands, else the first that converts it."""

    members: tuple[FieldType, ...]

    name = "union"

    @override
    @classmethod
    def of(cls, *arguments: Any) -> FieldType:
        """Make the union as Python does: flat, each member once, optional if null is one."""
        flat = [member for argument in arguments for member in _flattened(argument)]
        # Types that differ in constraints alone have one hash, but each its own notation.
        members = tuple({member.notation: member for member in flat if member is not None}.values())
        if not members:
            raise TypeArgumentsError("union takes types in brackets")
        union = members[0] if len(members) == 1 else cls(members)
        return OptionalType(union) if None in flat else union

    @property
    @override
    def bare(self) -> str:
        return f"union[{', '.join(member.notation for member in self.members)}]"

    @property
    @override
    def parts(self) -> tuple[FieldType, ...]:
        return self.members

    @override
    def core_schema(self) -> CoreSchema:
        # "smart" prefers the member that need not even turn 3 into 3.0.
        return core_schema.union_schema(
            [member.core_schema() for member in self.members],
            mode="smart",
            custom_error_type="no_member",
            custom_error_message=" or ".join(member.notation for member in self.members),
        )

    @override
    def convert(self, value: Any) -> Any:
        if self.accepts(value):
            return value
        tries = (member.convert(value) for member in self.members)
        fitting = zip(self.members, tries, strict=True)
        return next((tried for member, tried in fitting if member.accepts(tried)), value)

    @override
    def shape(self) -> Schema:
        return {"anyOf": [member.json_schema() for member in self.members]}

    @override
    def annotation(self) -> Any:
        return reduce(or_, (member.annotation() for member in self.members))

    @override
    def sample(self, random: Random) -> Any:
        return random.choice(self.members).sample(random)

    @override
    def edges(self, random: Random) -> Iterator[Sample]:
        for member in self.members[:MOST_NAMED]:
            yield from (sample for sample in member.samples(random) if sample.must_pass)
        for value in self.members[0].wrong:
            if all(_holds(member.wrong, value) for member in self.members):
                yield Sample(value, must_pass=False)


def _flattened(argument: Any) -> tuple[FieldType | None, ...]:
    match argument:
        case OptionalType(inner=inner):
            return (*_flattened(inner), None)
        case UnionType(members=members):
            return members
        case FieldType() | None:
            return (argument,)
        case _:
            raise TypeArgumentsError("union takes types in brackets")


def _holds(values: tuple[Any, ...], value: Any) -> bool:
    return any(type(other) is type(value) and other == value for other in values)
