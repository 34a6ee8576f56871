"""The JSON Schema of each type, held against what the type itself takes."""

from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from app.signatures.constraints import LARGEST, SMALLEST
from app.signatures.notation import parse_type
from app.signatures.serializers.json_schema import every_part
from app.signatures.types.base import FieldType
from app.signatures.types.portable import is_portable
from tests.support.strategies import types

OBJECT = {"type": "object", "additionalProperties": False}
WRITTEN: list[tuple[str, dict[str, Any]]] = [
    (
        'constrained[string, min_length=1, max_length=9, pattern="^a", format="email"]',
        {"type": "string", "minLength": 1, "maxLength": 9, "pattern": "^a", "format": "email"},
    ),
    (
        'constrained[string, pattern="(?i)a"]',
        {
            "type": "string",
            "description": "Matches the regular expression (?i)a (in the syntax of Rust).",
        },
    ),
    (
        "constrained[integer, min=0, max=9, multiple_of=3]",
        {"type": "integer", "minimum": 0, "maximum": 9, "multipleOf": 3},
    ),
    (
        "constrained[float, min=0.5, max=1, precision=2]",
        {"type": "number", "minimum": 0.5, "maximum": 1, "description": "Rounded to 2 decimals."},
    ),
    ("boolean", {"type": "boolean"}),
    (
        "prompt_template",
        {
            "type": "string",
            "description": "A template: variables stand in single braces, "
            "plain braces are doubled.",
        },
    ),
    ("atom", {"type": "string", "minLength": 1}),
    ('atom["a", "b"]', {"type": "string", "enum": ["a", "b"]}),
    ("any", {}),
    (
        'constrained[map, required_keys=["a"], min_size=1, max_size=2]',
        {"type": "object", "required": ["a"], "minProperties": 1, "maxProperties": 2},
    ),
    (
        "constrained[embedding, dimensions=2, min_value=0, max_value=1]",
        {
            "type": "array",
            "items": {"type": "number", "minimum": 0, "maximum": 1},
            "minItems": 2,
            "maxItems": 2,
        },
    ),
    ("probability", {"type": "number", "minimum": 0, "maximum": 1}),
    ("confidence_score", {"type": "number", "minimum": 0, "maximum": 1}),
    (
        'constrained[reasoning_chain, max_steps=3, step_format="^[0-9]"]',
        {"type": "array", "items": {"type": "string", "pattern": "^[0-9]"}, "maxItems": 3},
    ),
    (
        'constrained[reasoning_chain, step_format="\\\\A"]',
        {
            "type": "array",
            "items": {"type": "string"},
            "description": "Each step matches the regular expression \\A (in the syntax of Rust).",
        },
    ),
    ("constrained[token_count, max_tokens=9]", {"type": "integer", "minimum": 0, "maximum": 9}),
    (
        "constrained[model_output, max_length=9]",
        {"anyOf": [{"type": "string", "maxLength": 9}, {"type": "object"}]},
    ),
    (
        'constrained[prompt_template, max_length=9, required_variables=["a", "b"]]',
        {
            "type": "string",
            "maxLength": 9,
            "description": "A template: variables stand in single braces, plain braces are doubled."
            " It has the variables a, b.",
        },
    ),
    (
        'constrained[function_call, allowed_functions=["f"]]',
        {
            **OBJECT,
            "properties": {
                "name": {"type": "string", "enum": ["f"]},
                "arguments": {"type": "object"},
            },
            "required": ["name", "arguments"],
        },
    ),
    (
        "tool_result",
        {
            **OBJECT,
            "properties": {
                "tool": {"type": "string", "minLength": 1},
                "result": {},
                "error": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            },
            "required": ["tool", "result"],
        },
    ),
    (
        "constrained[list[boolean], min_length=1, max_length=2, unique=true]",
        {
            "type": "array",
            "items": {"type": "boolean"},
            "minItems": 1,
            "maxItems": 2,
            "uniqueItems": True,
        },
    ),
    (
        'constrained[dict[atom["a"], boolean], min_size=1]',
        {
            "type": "object",
            "propertyNames": {"type": "string", "enum": ["a"]},
            "additionalProperties": {"type": "boolean"},
            "minProperties": 1,
        },
    ),
    ("integer | string", {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
    ("integer | null", {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
    (
        "integer | string | null",
        {"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]},
    ),
    (
        'tagged["ok", integer]',
        {
            **OBJECT,
            "properties": {"tag": {"type": "string", "const": "ok"}, "value": {"type": "integer"}},
            "required": ["tag", "value"],
        },
    ),
]
BASE64 = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"

PORTABLE = [
    *("", "abc", "^a|b$", r"^\d{3}-\d{2,4}$", r"^(?:ab)+(?<tail>c)?(d)(e)$", r"^[^a-y0-9_]{2,}$"),
    *(r"^[\w.-]+@[a-z-]+?$", r"\bword\b", r"^a\tb\+.$", r"^[\]a&~]$", "é", "a{2}", BASE64),
]
OURS_ALONE = [
    *(r"\A", r"\z", "(?i)a", "(?P<a>b)", r"\p{Greek}", "[[:alpha:]]", "[a&&b]", "[a--b]", "[a~~b]"),
    *("a**", "^*", "]", "}", r"\-", r"\x{41}", "(?x)a b", r"\b+"),
]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**52), 2**52)
    | st.floats(-1e15, 1e15, allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
    | st.sampled_from(["ok", "aa", "aaa", "5", "aGk=", "it's"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from("abcdef"), inner, max_size=4)
        | st.fixed_dictionaries({"tag": st.just("ok") | inner, "value": inner})
        | st.fixed_dictionaries({"name": inner, "arguments": inner})
        | st.fixed_dictionaries({"tool": inner, "result": inner}, optional={"error": inner})
    ),
    max_leaves=6,
)


@pytest.mark.parametrize(("text", "schema"), WRITTEN, ids=range(len(WRITTEN)))
def test_constraints_stand_in_the_schema(text: str, schema: dict[str, Any]) -> None:
    """Under JSON Schema's own keywords, or in words where it has none."""
    assert schema == parse_type(text).json_schema()


def test_bytes_are_base64() -> None:
    """The encoding is told, and checked by a pattern too, since validators ignore the keyword."""
    sized = parse_type('constrained[binary, max_bytes=4, media_type="image/png"]')
    assert sized.json_schema() == {
        "type": "string",
        "contentEncoding": "base64",
        "contentMediaType": "image/png",
        "pattern": BASE64,
        "maxLength": 8,
        "description": "At most 4 bytes.",
    }


@pytest.mark.parametrize("pattern", PORTABLE)
def test_everyday_patterns_are_portable(pattern: str) -> None:
    """They stand in the keyword, and both engines take them."""
    jsonschema_rs.validator_for({"pattern": pattern})
    assert is_portable(pattern)


@pytest.mark.parametrize("pattern", OURS_ALONE)
def test_other_patterns_are_told_in_words(pattern: str) -> None:
    """What ECMAScript reads in another way, or not at all, stays out of the keyword."""
    assert not is_portable(pattern)


@settings(deadline=None)
@given(types(), json_values, st.randoms(use_true_random=False))
def test_what_a_type_accepts_its_schema_accepts(of: FieldType, value: Any, random: Any) -> None:
    """Whatever the value, unless a float is rounded before its bounds are looked at."""
    schema = of.json_schema()
    Draft202012Validator.check_schema(schema)
    official = Draft202012Validator(schema)
    validator = jsonschema_rs.validator_for(schema, validate_formats=False)
    if any("precision" in part.constraints for part in every_part(of)):
        return
    for tried in (value, *(sample.value for sample in of.samples(random))):
        if of.accepts(tried):
            assert validator.is_valid(tried)
            assert official.is_valid(tried)


@settings(deadline=None)
@given(types(), json_values, st.randoms(use_true_random=False))
def test_what_a_schema_accepts_its_type_takes(of: FieldType, value: Any, random: Any) -> None:
    """Where the schema says all: no format, nothing in words alone, no number beyond 64 bits."""
    parts = list(every_part(of))
    if any("format" in part.constraints or any(part.remarks()) for part in parts):
        return
    validator = jsonschema_rs.validator_for(of.json_schema())
    for tried in (value, *(sample.value for sample in of.samples(random))):
        assert not validator.is_valid(tried) or _takes(of, tried) or _is_beyond(tried)


def _takes(of: FieldType, value: Any) -> bool:
    try:
        of.validate(value)
    except ValidationError:
        return False
    return True


def _is_beyond(value: Any) -> bool:
    match value:
        case int():
            return not SMALLEST <= value <= LARGEST
        case list():
            return any(map(_is_beyond, value))
        case dict():
            return any(map(_is_beyond, value.values()))
        case _:
            return False
