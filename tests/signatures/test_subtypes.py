"""Which types take all that others take, held against samples."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from app.signatures.notation import parse_type
from app.signatures.subtypes import SubTyping
from app.signatures.types.base import FieldType
from app.signatures.types.list import ListType
from app.signatures.types.optional import OptionalType
from app.signatures.types.union import UnionType
from tests.support.strategies import constrained, types

WITHIN = [
    ("integer", "float"),
    ("integer", "any"),
    ("integer", "constrained[float, precision=2]"),
    ("constrained[integer, min=1, max=5]", "constrained[integer, min=0, max=5]"),
    ("constrained[integer, min=1, max=5]", "constrained[float, max=5.5]"),
    ("constrained[integer, multiple_of=6]", "constrained[integer, multiple_of=3]"),
    ("token_count", "integer"),
    ("constrained[integer, min=0, max=9]", "token_count"),
    ("probability", "confidence_score"),
    ("probability", "float"),
    ("constrained[float, max=1, precision=1]", "constrained[float, max=2, precision=2]"),
    ("constrained[float, max=1, precision=1]", "constrained[float, max=2, precision=1]"),
    ("constrained[string, max_length=5]", "constrained[string, max_length=6]"),
    ('constrained[string, pattern="a"]', "string"),
    ('constrained[string, format="date"]', "string"),
    ('atom["a", "b"]', 'atom["b", "c", "a"]'),
    ('atom["a", "b"]', 'union[atom["a"], atom["b"]]'),
    ('atom["a", "b"]', "constrained[string, max_length=1]"),
    ("atom", "string"),
    ("constrained[string, min_length=1]", "atom"),
    ("prompt_template", "string"),
    (
        'constrained[prompt_template, required_variables=["a", "b"]]',
        'constrained[prompt_template, required_variables=["a"]]',
    ),
    ("binary", "string"),
    ("constrained[binary, max_bytes=3]", "constrained[binary, max_bytes=4]"),
    ('constrained[binary, media_type="a/b"]', 'constrained[binary, media_type="c/d"]'),
    ("string", "optional[string]"),
    ("string", "integer | string"),
    ("integer | string", "string | boolean | float"),
    ("optional[integer]", "optional[float]"),
    ("optional[integer]", "any"),
    ("list[integer]", "list[optional[float]]"),
    ("constrained[list[integer], min_length=2]", "constrained[list[integer], min_length=1]"),
    ("constrained[list[integer], unique=true]", "list[integer]"),
    ("constrained[list[integer], unique=false]", "list[integer]"),
    ("constrained[list[any], unique=true, max_length=1]", "constrained[list[any], unique=true]"),
    ("embedding", "list[float]"),
    ("constrained[embedding, dimensions=3]", "constrained[list[float], min_length=3]"),
    (
        "constrained[embedding, min_value=0, max_value=1]",
        "list[probability]",
    ),
    ("list[probability]", "embedding"),
    ("reasoning_chain", "list[string]"),
    ("list[string]", "reasoning_chain"),
    (
        'constrained[reasoning_chain, max_steps=3, step_format="a"]',
        'list[constrained[string, pattern="a"]]',
    ),
    ("dict[string, integer]", "map"),
    ("map", "dict[string, any]"),
    ('dict[atom["a"], integer]', "dict[string, float]"),
    ('constrained[map, required_keys=["a", "b"]]', 'constrained[map, required_keys=["b"]]'),
    ("function_call", "map"),
    ("function_call", 'constrained[map, required_keys=["name"], min_size=2, max_size=2]'),
    ("tool_result", "map"),
    ('tagged["a", integer]', 'tagged["a", float]'),
    ('tagged["a", integer]', "dict[string, any]"),
    (
        'constrained[function_call, allowed_functions=["f"]]',
        'constrained[function_call, allowed_functions=["f", "g"]]',
    ),
    ("string", "model_output"),
    ("tool_result", "model_output"),
    ("constrained[model_output, max_length=3]", "model_output"),
    ("model_output", "string | map"),
]
NOT_WITHIN = [
    ("float", "integer"),
    ("integer", "probability"),
    ("constrained[integer, min=0, max=1]", "probability"),
    ("string", "integer"),
    ("integer", "string"),
    ("boolean", "integer"),
    ("any", "string | map"),
    ("float", "probability"),
    ("constrained[integer, multiple_of=3]", "constrained[integer, multiple_of=6]"),
    ("constrained[float, max=1, precision=1]", "constrained[float, max=1, precision=2]"),
    ("constrained[float, max=1]", "constrained[float, max=1, precision=2]"),
    ('constrained[string, pattern="a"]', 'constrained[string, pattern="b"]'),
    ("string", 'constrained[string, format="date"]'),
    ("string", "atom"),
    ("string", "prompt_template"),
    ("string", "binary"),
    ('atom["a", "b"]', 'atom["a"]'),
    ("atom", 'atom["a"]'),
    ('atom["1"]', "embedding"),
    ("optional[string]", "string"),
    ("integer | string", "integer"),
    ("list[float]", "embedding"),
    ("list[integer]", "constrained[list[integer], unique=true]"),
    (
        "constrained[list[integer], unique=true]",
        "constrained[list[float], unique=true]",
    ),
    ("list[string]", "list[integer]"),
    ("map", "dict[string, integer]"),
    ("map", "function_call"),
    ("function_call", "dict[string, map]"),
    ("function_call", "tool_result"),
    ("function_call", 'constrained[function_call, allowed_functions=["g"]]'),
    ('tagged["a", integer]', 'tagged["b", integer]'),
    ("tool_result", "constrained[map, max_size=2]"),
]


def is_subtype(narrow: FieldType, wide: FieldType) -> bool:
    """Ask with nothing looked at before."""
    return SubTyping().is_subtype(narrow, wide)


def test_what_takes_too_long_is_not_known() -> None:
    """After so many pairs the answer is no; a type is within itself without looking."""
    narrow, wide = parse_type("integer | boolean"), parse_type("float | boolean")
    assert SubTyping(most_pairs=9).is_subtype(narrow, wide)
    assert not SubTyping(most_pairs=2).is_subtype(narrow, wide)
    assert SubTyping(most_pairs=0).is_subtype(narrow, narrow)


@pytest.mark.parametrize(("narrow", "wide"), WITHIN)
def test_within(narrow: str, wide: str) -> None:
    """The second takes every value of the first."""
    assert is_subtype(parse_type(narrow), parse_type(wide))


@pytest.mark.parametrize(("narrow", "wide"), NOT_WITHIN)
def test_not_within(narrow: str, wide: str) -> None:
    """The first takes a value that the second refuses, or it cannot be told."""
    assert not is_subtype(parse_type(narrow), parse_type(wide))


@given(types())
def test_a_type_is_within_itself(of: FieldType) -> None:
    """And within everything that it is a part of."""
    assert is_subtype(of, of)
    assert is_subtype(of, OptionalType.of(of))
    assert is_subtype(of, UnionType.of(of, parse_type("boolean")))
    assert is_subtype(ListType.of(of), ListType.of(OptionalType.of(of)))


@st.composite
def relatives(draw: st.DrawFn) -> tuple[FieldType, FieldType]:
    """Make two types that may well be within one another."""
    if draw(st.booleans()):
        pairs = [(narrow, wide) for narrow, wide in (*WITHIN, *NOT_WITHIN)]
        texts = draw(st.sampled_from(pairs))
        bare = [parse_type(parse_type(text).bare) for text in texts]
    else:
        bare = [parse_type(draw(types()).bare)] * 2
    one, other = (
        draw(constrained(of)) if of.allowed and not isinstance(of, OptionalType) else of
        for of in bare
    )
    wrap = draw(st.sampled_from([lambda of: of, ListType.of, OptionalType.of]))
    return wrap(one), wrap(other)


@settings(deadline=None, max_examples=75)
@given(relatives(), st.randoms(use_true_random=False))
def test_samples_of_a_subtype_pass(pair: tuple[FieldType, FieldType], random: Any) -> None:
    """Whatever it takes, converted or not, the wider type takes, too."""
    narrow, wide = pair
    if is_subtype(narrow, wide):
        taken = [one.value for one in narrow.samples(random) if _takes(narrow, one.value)]
        assert [value for value in taken if not _takes(wide, value)] == []


def _takes(of: FieldType, value: Any) -> bool:
    try:
        of.validate(value)
    except ValidationError:
        return False
    return True
