"""What every type says of itself: annotation, notation, constraints."""

from typing import Any, Literal

import pytest

from app.signatures.notation import parse_type
from app.signatures.types import KINDS, SPELLINGS, TYPES
from app.signatures.types.function_call import FunctionCall
from app.signatures.types.tool_result import ToolResult

ANNOTATIONS: list[tuple[str, Any]] = [
    ("string", str),
    ("integer", int),
    ("float", float),
    ("boolean", bool),
    ("atom", str),
    ('atom["a", "b"]', Literal["a", "b"]),
    ("any", Any),
    ("map", dict[str, Any]),
    ("binary", bytes),
    ("embedding", list[float]),
    ("probability", float),
    ("confidence_score", float),
    ("reasoning_chain", list[str]),
    ("token_count", int),
    ("model_output", str | dict[str, Any]),
    ("prompt_template", str),
    ("function_call", FunctionCall),
    ("tool_result", ToolResult),
    ("list[integer]", list[int]),
    ("dict[string, list[float]]", dict[str, list[float]]),
    ("union[integer, string]", int | str),
    ("optional[string]", str | None),
    ("string | integer | null", str | int | None),
    ("list[atom['a'] | null]", list[Literal["a"] | None]),
]


@pytest.mark.parametrize(("text", "annotation"), ANNOTATIONS)
def test_annotation(text: str, annotation: Any) -> None:
    """Each type has the Python annotation that DSPy is to see."""
    assert parse_type(text).annotation() == annotation


def test_names_do_not_clash() -> None:
    """No type takes the name of another, and every other spelling leads to a type."""
    assert len(TYPES) == len(KINDS)
    assert set(SPELLINGS.values()) <= TYPES.keys()
    assert not SPELLINGS.keys() & TYPES.keys()


def test_optional_has_the_constraints_of_its_inner_type() -> None:
    """An optional type takes, shows and hands on the constraints of what it holds."""
    optional = parse_type("optional[string]")
    assert list(optional.allowed_constraints()) == ["min_length", "max_length", "pattern", "format"]
    narrowed = optional.with_constraints({"max_length": 3})
    assert narrowed.constraints == {"max_length": 3}
    assert narrowed.bare == "optional[string]"
    assert narrowed == parse_type("optional[constrained[string, max_length=3]]")
    assert narrowed == parse_type("constrained[optional[string], max_length=3]")


def test_constraints_are_listed() -> None:
    """A type lists the constraints that it takes."""
    assert list(parse_type("integer").allowed_constraints()) == ["min", "max", "multiple_of"]


def test_equal_types_are_equal() -> None:
    """Types that mean the same are equal and have one hash, however they are written."""
    first = parse_type("constrained[integer, max=4, min=1.0]")
    second = parse_type("constrained[constrained[int, min=1], max=4]")
    assert first == second
    assert hash(first) == hash(second)
    assert first.notation == "constrained[integer, min=1, max=4]"


def test_validate_converts() -> None:
    """A type alone converts and validates one value."""
    assert parse_type("list[int]").validate(["1"]) == [1]
