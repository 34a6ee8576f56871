"""What a type's constraints may be, and the check that finds every wrong one at once."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import CoreConfig, CoreSchema, SchemaError, SchemaValidator, core_schema

from app.signatures.faults import shown

STRICT = CoreConfig(strict=True)
SMALLEST = -(2**63)
LARGEST = 2**63 - 1
_LONGEST_PATTERN = 1_000
EXACT = 2**53  # beyond it a float no longer holds every whole number


@dataclass(frozen=True)
class Constraint:
    """What a constraint's own value must be, in words and as a predicate."""

    expected: str
    accepts: Callable[[Any], bool]


@dataclass(frozen=True)
class Problem:
    """What is wrong with the constraint `name`; `code` is a stable word."""

    name: str
    code: str
    message: str


class ConstraintsError(Exception):
    """The constraints do not fit the type; `problems` holds every reason."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problem.message for problem in self.problems))


def is_pattern(value: Any) -> bool:
    """Say whether the value is a regular expression of the linear-time kind (Rust's)."""
    if not TEXT.accepts(value) or len(value) > _LONGEST_PATTERN:
        return False
    try:
        SchemaValidator(core_schema.str_schema(pattern=value))
    except SchemaError:
        return False
    return True


def one_of(words: Iterable[str]) -> Constraint:
    """Give the constraint whose value is one of the words."""
    known = tuple(words)
    return Constraint("one of " + ", ".join(known), lambda value: value in known)


def check_constraints(
    type_name: str, allowed: Mapping[str, Constraint], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Give the constraints in the type's own order, or raise `ConstraintsError`."""
    problems = list(_problems(type_name, allowed, given))
    wrong = {problem.name for problem in problems}
    sound = {name: _normal(given[name]) for name in allowed if name in given.keys() - wrong}
    problems += _conflicts(sound)
    if problems:
        raise ConstraintsError(problems)
    return sound


def _problems(
    type_name: str, allowed: Mapping[str, Constraint], given: Mapping[str, Any]
) -> Iterator[Problem]:
    for name, value in given.items():
        if name not in allowed:
            known = ", ".join(allowed) or "none"
            message = f"{type_name} does not take {shown(name)}; it takes: {known}"
            yield Problem(name, "unknown_constraint", message)
        elif not allowed[name].accepts(_normal(value)):
            message = f"{name} must be {allowed[name].expected}, not {shown(value)}"
            yield Problem(name, "constraint_value", message)


def _conflicts(constraints: Mapping[str, Any]) -> Iterator[Problem]:
    for low in constraints:
        high = low.replace("min", "max")
        if low != high and high in constraints and constraints[low] > constraints[high]:
            message = f"{low} is {constraints[low]}, which is over {high}: {constraints[high]}"
            yield Problem(low, "constraint_conflict", message)


def _normal(value: Any) -> Any:
    """JSON knows one kind of number: write 4.0 as 4, so that equal constraints read alike."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT:
        return int(value)
    return value


def _strictly(schema: CoreSchema) -> Callable[[Any], bool]:
    return SchemaValidator(schema, STRICT).isinstance_python


def _is_name_list(value: Any) -> bool:
    return _NAMES(value) and len(set(value)) == len(value)


_NAMES = _strictly(core_schema.list_schema(core_schema.str_schema(min_length=1), min_length=1))

COUNT = Constraint("a whole number from 0", _strictly(core_schema.int_schema(ge=0, le=EXACT)))
WHOLE = Constraint(
    "a whole number of 64 bits", _strictly(core_schema.int_schema(ge=SMALLEST, le=LARGEST))
)
STEP = Constraint("a whole number from 1", _strictly(core_schema.int_schema(ge=1, le=LARGEST)))
NUMBER = Constraint("a finite number", _strictly(core_schema.float_schema(allow_inf_nan=False)))
FLAG = Constraint("true or false", _strictly(core_schema.bool_schema()))
TEXT = Constraint("text", _strictly(core_schema.str_schema(min_length=1)))
NAMES = Constraint("a list of different texts", _is_name_list)
PATTERN = Constraint(
    "a regular expression of at most 1000 characters, without look-around and back-references",
    is_pattern,
)
