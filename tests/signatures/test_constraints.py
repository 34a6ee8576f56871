from typing import Any

import pytest

from app.signatures.constraints import (
    COUNT,
    FLAG,
    NAMES,
    NUMBER,
    PATTERN,
    STEP,
    TEXT,
    WHOLE,
    Constraint,
    ConstraintsError,
    one_of,
)
from app.signatures.notation import parse_type

GOOD: list[tuple[Constraint, Any]] = [
    (COUNT, 0),
    (WHOLE, -3),
    (STEP, 1),
    (NUMBER, 1),
    (NUMBER, -0.5),
    (FLAG, False),
    (TEXT, "a"),
    (NAMES, ["a", "b"]),
    (PATTERN, "^(a|b)+$"),
    (PATTERN, "a" * 1_000),
    (one_of(["a", "b"]), "b"),
]

BAD: list[tuple[Constraint, Any]] = [
    (COUNT, -1),
    (COUNT, True),
    (COUNT, 10**30),
    (WHOLE, 0.5),
    (WHOLE, "1"),
    (STEP, 0),
    (NUMBER, float("inf")),
    (NUMBER, 10**400),
    (NUMBER, None),
    (FLAG, 1),
    (TEXT, ""),
    (TEXT, "\ud800"),
    (NAMES, []),
    (NAMES, ["a", "a"]),
    (NAMES, ["a", 1]),
    (NAMES, "ab"),
    (PATTERN, "(?=a)"),
    (PATTERN, r"(a)\1"),
    (PATTERN, "a{1000}{1000}{1000}"),
    (PATTERN, "(a{1000}){1000}"),
    (PATTERN, "a" * 1_001),
    (PATTERN, "\ud800"),
    (PATTERN, {}),
    (one_of(["a", "b"]), "c"),
    (one_of(["a", "b"]), []),
]


@pytest.mark.parametrize(("constraint", "value"), GOOD)
def test_takes(constraint: Constraint, value: Any) -> None:
    """A constraint's own value is taken where it makes sense."""
    assert constraint.accepts(value)


@pytest.mark.parametrize(("constraint", "value"), BAD)
def test_refuses(constraint: Constraint, value: Any) -> None:
    """A constraint's own value is refused where it makes none."""
    assert not constraint.accepts(value)


def test_every_problem_is_found_at_once() -> None:
    """Unknown names, wrong values and a minimum over its maximum are told together."""
    with pytest.raises(ConstraintsError) as refusal:
        parse_type("string").with_constraints(
            {"min_length": 3, "max_length": 2, "format": "fax", "colour": 1}
        )
    assert {(problem.name, problem.code) for problem in refusal.value.problems} == {
        ("format", "constraint_value"),
        ("colour", "unknown_constraint"),
        ("min_length", "constraint_conflict"),
    }
    assert "date-time" in str(refusal.value)


def test_a_type_without_constraints_says_so() -> None:
    """The refusal of a constraint lists what the type takes, or that it takes none."""
    with pytest.raises(ConstraintsError, match="it takes: none"):
        parse_type("boolean").with_constraints({"min": 1})


def test_a_constraint_is_given_once() -> None:
    """The same constraint twice is one; two values for it are a conflict."""
    narrowed = parse_type("constrained[integer, min=1]")
    assert narrowed.with_constraints({"min": 1}) == narrowed
    with pytest.raises(ConstraintsError, match="min"):
        narrowed.with_constraints({"min": 2})


def test_whole_floats_are_whole_numbers() -> None:
    """JSON does not tell 4.0 from 4, and neither do constraints."""
    assert parse_type("float").with_constraints({"min": 4.0}).notation == (
        "constrained[float, min=4]"
    )
