"""What every type of a signature can do."""

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from random import Random
from typing import Any, ClassVar, Self

from pydantic import BaseModel
from pydantic_core import CoreSchema, SchemaValidator, core_schema

from app.signatures.constraints import (
    LARGEST,
    SMALLEST,
    STRICT,
    Constraint,
    ConstraintsError,
    Problem,
    check_constraints,
)
from app.signatures.types.sampling import MOST, Sample, UnsampledError

WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron")
"""What samples of text are made of."""

Schema = dict[str, Any]
"""A JSON Schema, of draft 2020-12."""

_COUNTED = ("min_length", "min_size", "dimensions")
_JSON = core_schema.definition_reference_schema("json")
_TEXT = core_schema.str_schema(min_length=0)
_FLOAT = core_schema.chain_schema(  # or else the whole numbers refused above would become floats
    [core_schema.is_instance_schema(float), core_schema.float_schema(allow_inf_nan=False)]
)
_JSON_DEFINITION = core_schema.union_schema(
    [
        core_schema.none_schema(),
        core_schema.bool_schema(),
        core_schema.int_schema(ge=SMALLEST, le=LARGEST),
        _FLOAT,
        _TEXT,
        core_schema.list_schema(_JSON, fail_fast=True),
        core_schema.dict_schema(_TEXT, _JSON),
    ],
    mode="left_to_right",
    custom_error_type="json_value",
    custom_error_message="a JSON value",
    ref="json",
)


class TypeArgumentsError(Exception):
    """What stands between a type's brackets does not fit the type."""


@dataclass(frozen=True)
class FieldType(ABC):
    """The type of a field, with its constraints; two are equal if they accept the same way.

    A type is one file: its notation, its constraints, its pydantic-core schema, its conversion,
    its JSON Schema, its Python annotation and its samples.
    """

    name: ClassVar[str]
    allowed: ClassVar[Mapping[str, Constraint]] = {}
    keywords: ClassVar[Mapping[str, str]] = {}
    """JSON Schema's keywords, with the constraint that each one says."""
    weight: ClassVar[int] = 2
    """What the type itself adds to a signature's complexity."""
    wrong: ClassVar[tuple[Any, ...]] = ()
    """JSON values of other kinds, which do not convert."""

    constraints: Mapping[str, Any] = field(default_factory=dict, kw_only=True, hash=False)

    @classmethod
    def of(cls, *arguments: Any) -> "FieldType":
        """Make the type from what stands in its brackets: types and JSON values."""
        if arguments:
            raise TypeArgumentsError(f"{cls.name} takes nothing in brackets")
        return cls()

    @abstractmethod
    def core_schema(self) -> CoreSchema:
        """Give the schema of unconverted values, constraints in it; see `build_validator`."""

    @abstractmethod
    def shape(self) -> Schema:
        """Give the JSON Schema of unconverted values, as far as it has keywords for them."""

    @abstractmethod
    def annotation(self) -> Any:
        """Give the Python type that says the same to DSPy."""

    @abstractmethod
    def sample(self, random: Random) -> Any:
        """Make a value that the type accepts as it stands: the same for the same `random`.

        Constraints that leave no value give one that they refuse. Raises `UnsampledError`, and
        may be very large: see `small_sample`.
        """

    def small_sample(self, random: Random) -> Any:
        """Make a sample as `sample` does; a type of larger values raises `UnsampledError`, too."""
        if self.sample_size > MOST:
            raise UnsampledError(f"its values have more than {MOST} parts")
        return self.sample(random)

    @abstractmethod
    def edges(self, random: Random) -> Iterator[Sample]:
        """Make values at each bound of the constraints and just past it."""

    def samples(self, random: Random) -> Iterator[Sample]:
        """Make values to try the type with: ordinary ones, at and past each bound, of other kinds.

        What can be told only by asking the type itself is left out.
        """
        with suppress(UnsampledError):
            yield Sample(self.small_sample(random), must_pass=True)
            yield from self.edges(random)
        yield from (Sample(value, must_pass=False) for value in self.wrong)

    def convert(self, value: Any) -> Any:
        """Give the value as the type wants it, or as it came where it cannot be converted."""
        return value

    def remarks(self) -> Iterator[str]:
        """Say in a sentence each what JSON Schema has no keyword for."""
        yield from ()

    def json_schema(self) -> Schema:
        """Give the JSON Schema of unconverted values, and in its description what it cannot say."""
        words = " ".join(self.remarks())
        return {**self.shape(), "description": words} if words else self.shape()

    def told(self) -> Schema:
        """Give the constraints that are set, under JSON Schema's keywords for them."""
        return {
            keyword: self.constraints[name]
            for keyword, name in self.keywords.items()
            if name in self.constraints
        }

    @property
    def parts(self) -> tuple["FieldType", ...]:
        """The types that stand in the type's brackets."""
        return ()

    def allowed_constraints(self) -> Mapping[str, Constraint]:
        """Give the constraints that the type takes, in their canonical order."""
        return self.allowed

    def with_constraints(self, given: Mapping[str, Any]) -> Self:
        """Give the type with more constraints, or raise `ConstraintsError`."""
        twice = [name for name in given if self.constraints.get(name, given[name]) != given[name]]
        if twice:
            message = f"{self.name} has another {{}} in its type already"
            raise ConstraintsError(
                Problem(name, "constraint_conflict", message.format(name)) for name in twice
            )
        together = {**self.constraints, **given}
        return replace(self, constraints=check_constraints(self.name, self.allowed, together))

    @property
    def sample_size(self) -> int:
        """How many characters, items and members a sample has at least."""
        counts = [self.constraints.get(name, 1) for name in _COUNTED]
        return int(max(1, *counts)) * self.part_size

    @property
    def part_size(self) -> int:
        """How many of them each item or member of a sample has at least."""
        return max(1, sum(part.sample_size for part in self.parts))

    @property
    def bare(self) -> str:
        """The canonical notation without the type's own constraints."""
        return self.name

    @property
    def notation(self) -> str:
        """The canonical notation, constraints in it."""
        if not self.constraints:
            return self.bare
        pairs = (f"{name}={as_json(value)}" for name, value in self.constraints.items())
        return f"constrained[{self.bare}, {', '.join(pairs)}]"

    @cached_property
    def validator(self) -> SchemaValidator:
        """The strict validator of this type alone."""
        return build_validator(self.core_schema())

    def accepts(self, value: Any) -> bool:
        """Say whether the value fits as it stands."""
        return self.validator.isinstance_python(value)

    def validate(self, value: Any) -> Any:
        """Convert and validate one value, or raise pydantic-core's `ValidationError`."""
        return self.validator.validate_python(self.convert(value))


def build_validator(schema: CoreSchema) -> SchemaValidator:
    """Build a strict validator, in which types may refer to `json_value_schema`."""
    return SchemaValidator(core_schema.definitions_schema(schema, [_JSON_DEFINITION]), STRICT)


def json_value_schema() -> CoreSchema:
    """Give the schema of any JSON value; it needs `build_validator` around it."""
    return _JSON


def object_schema(
    members: Mapping[str, CoreSchema], *, optional: Collection[str] = ()
) -> CoreSchema:
    """Give the schema of an object with these members and no others."""
    fields = {
        name: core_schema.typed_dict_field(schema, required=name not in optional)
        for name, schema in members.items()
    }
    # A typed dict does not take over the strictness of what stands around it.
    return core_schema.typed_dict_schema(fields, extra_behavior="forbid", config=STRICT)


def object_shape(members: Mapping[str, Schema], *, optional: Collection[str] = ()) -> Schema:
    """Give the JSON Schema of an object with these members and no others."""
    return {
        "type": "object",
        "properties": dict(members),
        "required": [name for name in members if name not in optional],
        "additionalProperties": False,
    }


def list_schema(
    item: CoreSchema, *, min_length: int | None = None, max_length: int | None = None
) -> CoreSchema:
    """Give the schema of a list; it ends at the first faulty item, see `thorough`."""
    return core_schema.list_schema(
        item, min_length=min_length, max_length=max_length, fail_fast=True
    )


def text_schema(
    *, min_length: int = 0, max_length: int | None = None, pattern: str | None = None
) -> CoreSchema:
    """Give the schema of text; a minimum, even of 0, makes pydantic-core refuse surrogates."""
    return core_schema.str_schema(min_length=min_length, max_length=max_length, pattern=pattern)


def one_type(name: str, arguments: tuple[Any, ...]) -> FieldType:
    """Give the single type that stands in brackets, or raise `TypeArgumentsError`."""
    match arguments:
        case (FieldType() as item,):
            return item
        case _:
            raise TypeArgumentsError(f"{name} takes one type in brackets")


def plain(value: Any) -> Any:
    """Give the JSON value of a model that a Python caller made, anything else as it came."""
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


def as_json(value: Any) -> str:
    """Give the value as notation writes it."""
    return json.dumps(value, ensure_ascii=False)
