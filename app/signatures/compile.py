"""From a definition to the validators of its values."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from random import Random
from typing import Any

from pydantic_core import CoreSchema, ValidationError, core_schema

from app.errors import Fault
from app.signatures.definition import REQUIRED, FieldDefinition, SignatureDefinition
from app.signatures.faults import (
    NoSampleError,
    ValuesError,
    faults_of,
    pointer,
    shown,
    unknown_field,
)
from app.signatures.thorough import MOST_FAULTS, ThoroughValidator
from app.signatures.types.base import build_validator, object_schema
from app.signatures.types.sampling import UnsampledError

__all__ = ["CompiledSignature", "NoSampleError", "ValuesError"]


class CompiledSignature:
    """A signature ready to validate: build it once, use it for every execution."""

    def __init__(self, definition: SignatureDefinition) -> None:
        self.definition = definition
        self._inputs = _Side(definition.inputs)
        self._outputs = _Side(definition.outputs)

    def validate_inputs(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Give the inputs converted and with their defaults, or raise `ValuesError`."""
        return self._inputs.validate(values)

    def validate_outputs(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Give the outputs converted and with their defaults, or raise `ValuesError`."""
        return self._outputs.validate(values)

    def sample_inputs(self, random: Random) -> dict[str, Any]:
        """Make inputs that are valid as they stand, or raise `NoSampleError`."""
        return self._inputs.sample(random)

    def sample_outputs(self, random: Random) -> dict[str, Any]:
        """Make outputs that are valid as they stand, or raise `NoSampleError`."""
        return self._outputs.sample(random)


class _Side:
    """The inputs or the outputs: one validator in Rust, and conversion for what it refuses."""

    def __init__(self, fields: Sequence[FieldDefinition]) -> None:
        self._types = {field.name: field.type for field in fields}
        self._schema = object_schema(
            {field.name: _schema(field) for field in fields},
            optional={field.name for field in fields if not field.is_required},
        )
        self._strictly = build_validator(self._schema).validate_python

    def validate(self, values: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return self._strictly(values)  # type: ignore[no-any-return]
        except ValidationError:
            pass  # what it holds is freed before the search for all faults
        return self._converted(values)

    def sample(self, random: Random) -> dict[str, Any]:
        values, faults = {}, []
        for name, field_type in self._types.items():
            try:
                values[name] = field_type.small_sample(random)
            except UnsampledError as error:
                faults.append(Fault(pointer((name,)), "no_sample", f"{name}: {error}"))
        if faults:
            raise NoSampleError(faults)
        try:
            return self.validate(values)
        except ValuesError as error:
            raise NoSampleError(error.faults) from None

    def _converted(self, values: Mapping[str, Any]) -> dict[str, Any]:
        if not isinstance(values, Mapping):
            message = f"the values must be an object, not {shown(values)}"
            raise ValuesError([Fault("", "type", message, "an object", shown(values))])
        known = {
            name: field_type.convert(values[name])
            for name, field_type in self._types.items()
            if name in values
        }
        unknown = (name for name in values if name not in self._types)
        faults = [unknown_field(name, self._types) for name in islice(unknown, MOST_FAULTS)]
        try:
            converted: dict[str, Any] = self._strictly(known)
        except ValidationError:
            raise ValuesError([*self._faults(known), *faults]) from None
        if faults:
            raise ValuesError(faults)
        return converted

    def _faults(self, values: Mapping[str, Any]) -> Iterator[Fault]:
        try:
            self._thorough.validate(values)
        except ValidationError as error:
            yield from faults_of(error)

    @cached_property
    def _thorough(self) -> ThoroughValidator:
        return ThoroughValidator(self._schema)


def _schema(field: FieldDefinition) -> CoreSchema:
    schema = field.type.core_schema()
    if field.is_required:
        return schema
    default = None if field.default is REQUIRED else field.default
    return core_schema.with_default_schema(schema, default=default)
