"""A value or null."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Self

from pydantic_core import CoreSchema, core_schema
from typing_extensions import override

from app.signatures.constraints import Constraint
from app.signatures.types.base import FieldType, Schema, one_type
from app.signatures.types.sampling import Sample


@dataclass(frozen=True)
class OptionalType(FieldType):
    """A value of the inner type, or null. Its constraints are the inner type's."""

    inner: FieldType

    name = "optional"

    def __post_init__(self) -> None:
        object.__setattr__(self, "constraints", self.inner.constraints)

    @override
    @classmethod
    def of(cls, *arguments: Any) -> "OptionalType":
        inner = one_type(cls.name, arguments)
        return inner if isinstance(inner, OptionalType) else cls(inner)

    @override
    def allowed_constraints(self) -> Mapping[str, Constraint]:
        return self.inner.allowed_constraints()

    @override
    def with_constraints(self, given: Mapping[str, Any]) -> Self:
        return replace(self, inner=self.inner.with_constraints(given), constraints={})

    @property
    @override
    def sample_size(self) -> int:
        return self.inner.sample_size

    @property
    @override
    def bare(self) -> str:
        return f"optional[{self.inner.bare}]"

    @property
    @override
    def notation(self) -> str:
        return f"optional[{self.inner.notation}]"

    @property
    @override
    def parts(self) -> tuple[FieldType, ...]:
        return (self.inner,)

    @override
    def core_schema(self) -> CoreSchema:
        return core_schema.nullable_schema(self.inner.core_schema())

    @override
    def convert(self, value: Any) -> Any:
        return None if value is None else self.inner.convert(value)

    @override
    def shape(self) -> Schema:
        inner = self.inner.json_schema()
        members = inner["anyOf"] if inner.keys() == {"anyOf"} else [inner]
        return {"anyOf": [*members, {"type": "null"}]}

    @override
    def annotation(self) -> Any:
        return self.inner.annotation() | None

    @override
    def sample(self, random: Random) -> Any:
        return self.inner.sample(random)

    @override
    def edges(self, random: Random) -> Iterator[Sample]:
        yield Sample(None, must_pass=True)
        for sample in self.inner.edges(random):
            if sample.value is not None:
                yield sample
        for value in self.inner.wrong:
            if value is not None:
                yield Sample(value, must_pass=False)
