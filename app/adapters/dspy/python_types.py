"""From Python annotations and pydantic's constraints to our types."""

import math
import types
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

import annotated_types
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from app.signatures.constraints import ConstraintsError
from app.signatures.types.any import AnyType
from app.signatures.types.atom import AtomType
from app.signatures.types.base import FieldType, TypeArgumentsError
from app.signatures.types.binary import BinaryType
from app.signatures.types.boolean import BooleanType
from app.signatures.types.dict import DictType
from app.signatures.types.float import FloatType
from app.signatures.types.function_call import FunctionCall, FunctionCallType
from app.signatures.types.integer import IntegerType
from app.signatures.types.list import ListType
from app.signatures.types.map import MapType
from app.signatures.types.optional import OptionalType
from app.signatures.types.string import StringType
from app.signatures.types.tagged import TaggedType
from app.signatures.types.tool_result import ToolResult, ToolResultType
from app.signatures.types.union import UnionType


class UnknownAnnotationError(Exception):
    """None of our types takes what the annotation does; the message says which."""


_SIMPLE: Mapping[Any, FieldType] = {
    str: StringType(),
    int: IntegerType(),
    float: FloatType(),
    bool: BooleanType(),
    bytes: BinaryType(),
    dict: MapType(),
    list: ListType.of(),
    Any: AnyType(),
    object: AnyType(),
    SecretStr: StringType(),
    FunctionCall: FunctionCallType(),
    ToolResult: ToolResultType(),
    datetime: StringType(constraints={"format": "date-time"}),
    date: StringType(constraints={"format": "date"}),
    time: StringType(constraints={"format": "time"}),
    timedelta: StringType(constraints={"format": "duration"}),
    UUID: StringType(constraints={"format": "uuid"}),
}

_LENGTHS: Mapping[str, tuple[str, str]] = {
    "string": ("min_length", "max_length"),
    "list": ("min_length", "max_length"),
    "map": ("min_size", "max_size"),
    "dict": ("min_size", "max_size"),
    "binary": ("min_bytes", "max_bytes"),
}
"""What our types call pydantic's `min_length` and `max_length`."""


def read_type(annotation: Any, metadata: Iterable[Any] = ()) -> FieldType:
    """Give our type of a Python annotation, constrained by pydantic's metadata.

    Raises `UnknownAnnotationError`.
    """
    return _constrained_by_all(_bare(annotation), metadata)


def _bare(annotation: Any) -> FieldType:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in _READERS:
        return _READERS[origin](annotation, arguments)
    if origin is None and isinstance(annotation, Hashable) and annotation in _SIMPLE:
        return _SIMPLE[annotation]
    if origin is None and isinstance(annotation, type):
        return _of_class(annotation)
    raise _unknown(annotation)


def _annotated(_: Any, arguments: Sequence[Any]) -> FieldType:
    return read_type(arguments[0], arguments[1:])


def _list(_: Any, arguments: Sequence[Any]) -> FieldType:
    return ListType.of(read_type(arguments[0]))


def _atom(annotation: Any, words: Sequence[Any]) -> FieldType:
    try:
        return AtomType.of(*words)
    except TypeArgumentsError:
        raise _unknown(annotation) from None


def _union(_: Any, members: Sequence[Any]) -> FieldType:
    union = UnionType.of(*(read_type(member) for member in members if member is not type(None)))
    return OptionalType.of(union) if type(None) in members else union


def _dict(annotation: Any, arguments: Sequence[Any]) -> FieldType:
    keys, values = map(read_type, arguments)
    if keys == StringType() and values == AnyType():
        return MapType()
    try:
        return DictType.of(keys, values)
    except TypeArgumentsError:
        raise _unknown(annotation) from None


_READERS: Mapping[Any, Callable[[Any, Sequence[Any]], FieldType]] = {
    Annotated: _annotated,
    Literal: _atom,
    Union: _union,
    types.UnionType: _union,
    list: _list,
    dict: _dict,
}
"""How generic annotations are read, by their origin."""


def _of_class(annotation: type) -> FieldType:
    if issubclass(annotation, Enum):
        return _atom(annotation, [member.value for member in annotation])
    if issubclass(annotation, BaseModel):
        return _model(annotation)
    raise _unknown(annotation)


def _model(model: type[BaseModel]) -> FieldType:
    """Give the type of a tagged value, or of an object that has the model's required members."""
    fields = model.model_fields
    if list(fields) == ["tag", "value"] and get_origin(fields["tag"].annotation) is Literal:
        value = fields["value"]
        tag = get_args(fields["tag"].annotation)[0]
        return TaggedType.of(tag, read_type(value.annotation, value.metadata))
    required = [field.alias or name for name, field in fields.items() if field.is_required()]
    return MapType(constraints={"required_keys": required} if required else {})


def _constrained_by_all(of: FieldType, metadata: Iterable[Any]) -> FieldType:
    for constraint in metadata:
        of = _constrained(of, constraint)
    return of


def _constrained(of: FieldType, metadata: Any) -> FieldType:
    if isinstance(metadata, FieldInfo):
        return _constrained_by_all(of, metadata.metadata)
    if isinstance(metadata, annotated_types.GroupedMetadata):
        return _constrained_by_all(of, metadata)
    if isinstance(of, UnionType):
        return UnionType.of(*(_constrained(member, metadata) for member in of.members))
    if isinstance(of, OptionalType):
        return OptionalType.of(_constrained(of.inner, metadata))
    try:
        return of.with_constraints(dict(_named(of, metadata)))
    except ConstraintsError as error:
        raise UnknownAnnotationError(str(error)) from None


def _named(of: FieldType, metadata: Any) -> Iterator[tuple[str, Any]]:
    low, high = _LENGTHS.get(of.name, ("min_length", "max_length"))
    match metadata:
        case annotated_types.Ge(ge=bound):
            yield "min", bound
        case annotated_types.Le(le=bound):
            yield "max", bound
        case annotated_types.Gt(gt=bound):
            yield "min", _past(of, bound, 1)
        case annotated_types.Lt(lt=bound):
            yield "max", _past(of, bound, -1)
        case annotated_types.MultipleOf(multiple_of=step):
            yield "multiple_of", step
        case annotated_types.MinLen(min_length=count):
            yield low, count
        case annotated_types.MaxLen(max_length=count):
            yield high, count
        case _:
            pattern = getattr(metadata, "pattern", None)
            if pattern is not None:
                yield "pattern", getattr(pattern, "pattern", pattern)


def _past(of: FieldType, bound: Any, direction: int) -> Any:
    """Give the first number past a bound that is not in the range itself."""
    if isinstance(of, IntegerType):
        return math.floor(bound) + 1 if direction > 0 else math.ceil(bound) - 1
    return math.nextafter(bound, direction * math.inf)


def _unknown(annotation: Any) -> UnknownAnnotationError:
    return UnknownAnnotationError(f"no type takes what {annotation!r} does")
