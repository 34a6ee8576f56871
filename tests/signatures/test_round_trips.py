"""From a signature to JSON Schema and back, and what is lost on the way."""

from dataclasses import replace

import pytest
from hypothesis import given, settings

from app.signatures.definition import Side, SignatureDefinition
from app.signatures.from_json_schema import read_fields
from app.signatures.losses import losses
from app.signatures.notation import parse_notation
from app.signatures.serializers import SERIALIZERS, NamedSignature, Target
from tests.support.strategies import definitions

KEPT = [
    *("string", "integer", "float", "boolean", "any", "map", "binary", "tool_result"),
    'constrained[string, min_length=2, max_length=5, pattern="^a", format="email"]',
    "constrained[integer, min=1, max=9, multiple_of=2]",
    "constrained[float, min=1.5, max=2]",
    'atom["a", "b"]',
    'constrained[map, required_keys=["a"], min_size=1, max_size=2]',
    'constrained[binary, media_type="image/png"]',
    'constrained[function_call, allowed_functions=["f"]]',
    "function_call",
    "constrained[list[integer], min_length=1, max_length=2, unique=true]",
    'constrained[dict[atom["a"], list[integer]], min_size=1]',
    "union[integer, string]",
    "optional[union[integer, string]]",
    "optional[list[boolean]]",
    'tagged["ok", list[integer]]',
]
LOST = [
    ("probability", "constrained[float, min=0, max=1]"),
    ("atom", "constrained[string, min_length=1]"),
    ("token_count", "constrained[integer, min=0]"),
    ("embedding", "list[float]"),
    ("reasoning_chain", "list[string]"),
    ("model_output", "union[string, map]"),
    ("prompt_template", "string"),
    ("constrained[float, precision=2]", "float"),
    ("constrained[binary, max_bytes=2]", "binary"),
    ('constrained[string, pattern="(?i)a"]', "string"),
]


def there_and_back(definition: SignatureDefinition) -> SignatureDefinition:
    """Write both sides as JSON Schema and read them again."""
    named = NamedSignature("a", definition)
    write = SERIALIZERS[Target.JSON_SCHEMA]
    sides = [read_fields(write(named, side).document) for side in Side]
    description = write(named, Side.INPUTS).document.get("description", "")
    return SignatureDefinition(sides[0], sides[1], description)


@pytest.mark.parametrize("text", KEPT)
def test_kept(text: str) -> None:
    """What JSON Schema holds comes back, with description and default, from $defs too."""
    definition = parse_notation(f"a: {text}, b: list[{text}] = [], c: optional[{text}] -> z", "Do.")
    described = replace(definition.inputs[0], description="What it is.")
    definition = replace(definition, inputs=(described, *definition.inputs[1:]))
    again = there_and_back(definition)
    assert again == definition
    assert losses(definition, again) == []


@pytest.mark.parametrize(("text", "after"), LOST)
def test_lost(text: str, after: str) -> None:
    """What it cannot hold is named."""
    definition = parse_notation(f"a: {text} -> z")
    before = definition.inputs[0].type.notation
    assert losses(definition, there_and_back(definition)) == [f"a: {before} comes back as {after}"]


@settings(deadline=None, max_examples=25)
@given(definitions())
def test_any_signature_comes_back(definition: SignatureDefinition) -> None:
    """With all its fields in order; and what has come back once comes back as it is."""
    again = there_and_back(definition)
    for side in Side:
        assert [field.name for field in definition.fields(side)] == [
            field.name for field in again.fields(side)
        ]
    assert there_and_back(again) == again


def test_losses() -> None:
    """Fields that are gone, defaults, descriptions and instructions that are others."""
    before = parse_notation("a = 'x', b -> c", "Do.")
    after = parse_notation("a = 'y' -> c", "Go.")
    assert losses(before, after) == [
        "a: its default comes back as another",
        "b: does not come back",
        "the instructions come back as others",
    ]
    described = replace(before, outputs=(replace(before.outputs[0], description="A word."),))
    assert losses(described, before) == ["c: its description comes back as another"]
    assert losses(replace(before, instructions=""), before) == []
