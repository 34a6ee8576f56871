"""Complexity, estimates, warnings and rating: figures worked out by hand from the formulas."""

import pytest

from app.signatures.complexity import Complexity, type_complexity
from app.signatures.definition import SignatureDefinition
from app.signatures.notation import parse_notation, parse_type
from app.signatures.types import TYPES

BASES = {
    **dict.fromkeys(("string", "integer", "float", "boolean", "atom"), 1),
    **dict.fromkeys(("any", "map", "binary", "embedding", "probability", "confidence_score"), 2),
    **dict.fromkeys(("reasoning_chain", "token_count", "model_output", "prompt_template"), 2),
    **dict.fromkeys(("function_call", "tool_result", "optional", "tagged"), 2),
    "list": 3,
    "dict": 4,
}


def test_every_type_has_its_base() -> None:
    """As the mission's table says; a union's is the number of its members."""
    assert {name: kind.weight for name, kind in TYPES.items() if name != "union"} == BASES


@pytest.mark.parametrize(
    ("text", "complexity"),
    [
        ("string", 1),
        ("constrained[string, min_length=1, max_length=2]", 2),
        ('atom["a", "b"]', 1.5),
        ("union[integer, string, boolean]", 3),
        ("list[dict[string, any]]", 3),
        ("constrained[list[any], unique=true]", 3.5),
        ("dict[string, integer]", 4),
        ("optional[constrained[integer, min=1, max=2]]", 3),
        ('tagged["a", dict[string, any]]', 2),
    ],
)
def test_a_constraint_adds_a_half(text: str, complexity: float) -> None:
    """Whatever it is; nested types add nothing."""
    assert type_complexity(parse_type(text)) == complexity


def test_estimates_and_rating() -> None:
    """Four fields of complexity 7.5 in all: 75 and 375 µs; 92, 92.5 and 92.5 make 92."""
    inputs = "a: constrained[string, max_length=9], b: probability, c: string"
    found = Complexity.of(parse_notation(f"{inputs} -> d: list[string]"))
    assert (found.input_complexity, found.output_complexity, found.total_fields) == (4.5, 3, 4)
    assert found.estimated_validation_time == 75
    assert found.estimated_serialization_time == 375
    assert found.rating == 92
    assert found.warnings == []


def test_estimates_are_whole_before_the_rating() -> None:
    """Rounded half to even, as Python rounds."""
    found = Complexity.of(parse_notation("a: string -> b: boolean, c: constrained[integer, min=1]"))
    assert found.estimated_validation_time == 35
    assert isinstance(found.estimated_validation_time, int)
    assert found.rating == round((94 + 96.5 + 96.5) / 3)


def test_warnings() -> None:
    """More than 20 fields, over 1 000 µs, inputs over 50: each is told with its figure."""
    names = [f"a{number}: dict[string, any]" for number in range(26)]
    found = Complexity.of(parse_notation(f"{', '.join(names)} -> b"))
    assert found.warnings == [
        "27 fields are more than 20",
        "validation is estimated to take 1050 µs, more than 1000",
        "inputs of complexity 104 exceed 50",
    ]
    assert found.rating == round((46 + 0 + 0) / 3)


def test_at_the_limits_there_is_no_warning() -> None:
    """They are told from the first figure past them."""
    names = [f"a{number}: list[any]" for number in range(16)]
    found = Complexity.of(parse_notation(f"{', '.join(names)}, x: union[string, map] -> b, c, d"))
    assert (found.total_fields, found.input_complexity) == (20, 50)
    assert found.warnings == []


def test_nothing_is_of_no_complexity() -> None:
    """A definition without fields is light."""
    assert Complexity.of(SignatureDefinition((), ())).rating == 100
