"""What every type of a signature can do."""

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
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

WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron")
"""What samples of text are made of."""

MOST_SAMPLED = 4_096
"""A sample has no more characters, items or members; where more are asked for, it does not fit."""

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
    its Python annotation and its samples.
    """

    name: ClassVar[str]
    allowed: ClassVar[Mapping[str, Constraint]] = {}

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
    def annotation(self) -> Any:
        """Give the Python type that says the same to DSPy."""

    @abstractmethod
    def sample(self, random: Random) -> Any:
        """Make a value that the type accepts as it stands: the same for the same `random`."""

    def convert(self, value: Any) -> Any:
        """Give the value as the type wants it, or as it came where it cannot be converted."""
        return value

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
