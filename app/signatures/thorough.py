"""The search for every fault, which runs only on values that are known to be faulty."""

from collections.abc import Callable, Container, Mapping
from functools import partial
from itertools import islice
from typing import Any

from pydantic_core import CoreSchema, SchemaValidator, ValidationError, core_schema
from pydantic_core.core_schema import ValidationInfo, ValidatorFunctionWrapHandler

from app.signatures.types.base import build_validator

MOST_FAULTS = 1000
"""Items and members are looked at until so many are faulty.

Without a limit, a list of four million wrong items took 52 s and 5.8 GB to complain about.
"""


class ThoroughValidator:
    """Validates like the schema's own validator, but goes on after a list's first faulty item."""

    def __init__(self, schema: CoreSchema) -> None:
        self._validator: SchemaValidator = build_validator(_thorough(schema))

    def validate(self, value: Any) -> Any:
        """Give the validated value, or raise pydantic-core's `ValidationError`."""
        return self._validator.validate_python(value, context={"left": MOST_FAULTS})


def _thorough(schema: Any) -> Any:
    match schema:
        case {"type": str(kind)} if kind in _REWRITTEN:
            return _REWRITTEN[kind](schema)
        case dict():
            return {name: _thorough(part) for name, part in schema.items()}
        case list():
            return [_thorough(part) for part in schema]
        case _:
            return schema


def _list(schema: dict[str, Any]) -> Any:
    return {**schema, "items_schema": _counted(schema["items_schema"]), "fail_fast": False}


def _dict(schema: dict[str, Any]) -> Any:
    keys, values = _counted(schema["keys_schema"]), _counted(schema["values_schema"])
    return {**schema, "keys_schema": keys, "values_schema": values}


def _typed_dict(schema: dict[str, Any]) -> Any:
    fewer = partial(_without_most_unknown, schema["fields"])
    thorough: Any = {**schema, "fields": _thorough(schema["fields"])}
    return core_schema.no_info_before_validator_function(fewer, thorough)


def _default(schema: dict[str, Any]) -> Any:
    return {**schema, "schema": _thorough(schema["schema"])}  # the default itself is no schema


_REWRITTEN: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "list": _list,
    "dict": _dict,
    "typed-dict": _typed_dict,
    "default": _default,
}


def _without_most_unknown(known: Container[str], value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    unknown = islice((name for name in value if name not in known), MOST_FAULTS)
    kept = {name: value[name] for name in unknown}
    return {name: item for name, item in value.items() if name in known or name in kept}


def _counted(schema: CoreSchema) -> CoreSchema:
    return core_schema.with_info_wrap_validator_function(_until_enough, _thorough(schema))


def _until_enough(
    value: Any, validate: ValidatorFunctionWrapHandler, info: ValidationInfo[dict[str, int]]
) -> Any:
    if info.context["left"] <= 0:
        return value
    try:
        return validate(value)
    except ValidationError:
        info.context["left"] -= 1
        raise
