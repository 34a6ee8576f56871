"""Every target, held against what its provider publishes: meta-schema, SDK types, strict rules."""

import ast
from typing import Any

import anthropic.types
import jsonschema_rs
import openai.types.chat
import openai.types.responses
import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter

from app.signatures.definition import Side, SignatureDefinition
from app.signatures.notation import parse_notation
from app.signatures.serializers import SERIALIZERS, NamedSignature, Serialized, Target
from tests.support.strategies import definitions
from tests.support.strict_rules import strict_faults

OPENAI = TypeAdapter[Any](openai.types.chat.ChatCompletionToolParam)
OPENAI_TOOL = TypeAdapter[Any](openai.types.chat.ChatCompletionFunctionTool)
ANTHROPIC = TypeAdapter[Any](anthropic.types.ToolParam)


def written(
    target: str,
    notation: str,
    side: Side = Side.INPUTS,
    *,
    name: str = "answer_question",
    instructions: str = "",
) -> Serialized:
    """Write a signature for a target."""
    definition = parse_notation(notation, instructions)
    return SERIALIZERS[Target(target)](NamedSignature(name, definition), side)


def parameters(notation: str) -> dict[str, Any]:
    """Give the parameters of OpenAI's function, which must be strict and keep the rules."""
    document = written("openai_function", notation).document
    assert document["function"]["strict"] is True
    assert strict_faults(document["function"]["parameters"]) == []
    found: dict[str, Any] = document["function"]["parameters"]["properties"]
    return found


@settings(deadline=None, max_examples=25)
@given(definitions())
def test_documents_are_accepted(definition: SignatureDefinition) -> None:
    """Whatever the signature: by the meta-schema, the SDKs' types, the rules of strict mode."""
    named = NamedSignature("some-name.x", definition)
    for side in Side:
        schema = SERIALIZERS[Target.JSON_SCHEMA](named, side).document
        Draft202012Validator.check_schema(schema)
        tool = SERIALIZERS[Target.OPENAI_FUNCTION](named, side).document
        OPENAI.validate_python(tool)
        OPENAI_TOOL.validate_python(tool)
        Draft202012Validator.check_schema(tool["function"]["parameters"])
        if tool["function"]["strict"]:
            assert strict_faults(tool["function"]["parameters"]) == []
        document = SERIALIZERS[Target.ANTHROPIC_FUNCTION](named, side).document
        ANTHROPIC.validate_python(document)
        Draft202012Validator.check_schema(document["input_schema"])
        ast.parse(SERIALIZERS[Target.PYTHON_TYPE](named, side).document)


def test_json_schema_names_and_describes_the_signature() -> None:
    """Its title is the name, its description the instructions, fields keep description, default."""
    definition = SignatureDefinition.from_documents(
        [
            {
                "name": "a",
                "type": "float",
                "constraints": {"precision": 1},
                "description": "A price.",
            }
        ],
        [{"name": "b", "type": "integer", "default": 3}],
        "Answer.",
    )
    named = NamedSignature("priced", definition)
    inputs = SERIALIZERS[Target.JSON_SCHEMA](named, Side.INPUTS)
    assert inputs.document == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "priced",
        "description": "Answer.",
        "type": "object",
        "properties": {"a": {"type": "number", "description": "A price. Rounded to 1 decimals."}},
        "required": ["a"],
        "additionalProperties": False,
    }
    assert inputs.notes == (
        "a: constrained[float, precision=1] is told in words: Rounded to 1 decimals.",
    )
    outputs = SERIALIZERS[Target.JSON_SCHEMA](named, Side.OUTPUTS).document
    assert outputs["properties"] == {"b": {"type": "integer", "default": 3}}
    assert outputs["required"] == []


def test_what_stands_twice_is_defined_once() -> None:
    """Nested types that come again move into $defs, each under a name of its own."""
    schema = written(
        "json_schema",
        'a: list[tagged["x", integer]], b: tagged["x", integer], c: tagged["y", list[integer]], '
        'd: optional[tagged["y", list[integer]]] -> e',
    ).document
    assert list(schema["$defs"]) == ["tagged", "tagged_2"]
    assert schema["properties"]["a"]["items"] == {"$ref": "#/$defs/tagged"}
    assert schema["properties"]["b"] == {"$ref": "#/$defs/tagged"}
    assert schema["properties"]["d"]["anyOf"][0] == {"$ref": "#/$defs/tagged_2"}
    validator = jsonschema_rs.validator_for(schema)
    x, y = {"tag": "x", "value": 1}, {"tag": "y", "value": [1]}
    assert validator.is_valid({"a": [x], "b": x, "c": y})
    assert not validator.is_valid({"a": [y], "b": x, "c": y})


def test_strict_mode_requires_every_key() -> None:
    """What may be left out is null in its place, and a note says so."""
    tool = written(
        "openai_function",
        "a: string, b: optional[integer], c: list[boolean] = [true] -> d",
        instructions="Answer.",
    )
    function = tool.document["function"]
    assert (function["name"], function["description"]) == ("answer_question", "Answer.")
    assert function["parameters"] == {
        "type": "object",
        "properties": {
            "a": {"type": "string"},
            "b": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "c": {
                "anyOf": [
                    {"type": "array", "items": {"type": "boolean"}},
                    {"type": "null"},
                ],
                "description": "Default: [true].",
            },
        },
        "required": ["a", "b", "c"],
        "additionalProperties": False,
    }
    assert tool.notes == (
        "c: default is told in words; strict mode has no such keyword",
        "c: null says that it is left out; strict mode requires every key",
    )


def test_an_undescribed_optional_is_nullable() -> None:
    """A field with a default of null needs no words."""
    found = parameters("a: optional[integer] -> b")
    assert found == {"a": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}


def test_strict_mode_has_fewer_keywords() -> None:
    """What it does not know stands in the description."""
    found = parameters(
        'a: constrained[string, min_length=2, max_length=5, pattern="^x"], '
        'b: constrained[string, format="uri"], c: constrained[string, format="date"], '
        'd: constrained[list[integer], unique=true, max_length=2], e: atom["x"], '
        'f: tagged["t", constrained[integer, min=1]], g: constrained[list[string], unique=false], '
        'h: constrained[binary, media_type="image/png"] -> z'
    )
    assert found["a"] == {
        "type": "string",
        "pattern": "^x",
        "description": "Length at least 2. Length at most 5.",
    }
    assert found["b"] == {"type": "string", "description": "In the format uri."}
    assert found["c"] == {"type": "string", "format": "date"}
    assert found["d"] == {
        "type": "array",
        "items": {"type": "integer"},
        "maxItems": 2,
        "description": "No item twice.",
    }
    assert found["e"] == {"type": "string", "enum": ["x"]}
    assert found["f"]["properties"] == {
        "tag": {"type": "string", "enum": ["t"]},
        "value": {"type": "integer", "minimum": 1},
    }
    assert found["g"] == {"type": "array", "items": {"type": "string"}}
    assert found["h"]["description"] == "Encoded in base64. Of the media type image/png."


WORDS = ", ".join(f'"w{number}"' for number in range(1001))
LONG_WORDS = ", ".join(f'"{"w" * 60}{number}"' for number in range(251))


@pytest.mark.parametrize(
    ("notation", "why"),
    [
        ("a: any -> b", "a: any JSON value"),
        ("a: list[map] -> b", "a[]: an object with free keys"),
        ("a: dict[string, integer] -> b", "a: an object with free keys"),
        ("a: model_output -> b", "a: an object with free keys"),
        ("a: function_call -> b", "a.arguments: an object with free keys"),
        ("a: tool_result -> b", "a.result: any JSON value"),
        (f"a: {'list[' * 10}integer{']' * 10} -> b", "it nests deeper than 10 levels"),
        (f"a: atom[{WORDS}] -> b", "its enums have more than 1000 values"),
        (f"a: atom[{LONG_WORDS}] -> b", "an enum of more than 250 values is longer than allowed"),
        (f'a: atom["{"w" * 120_001}"] -> b', "its names and values have more than 120000"),
    ],
    ids=range(10),
)
def test_what_strict_mode_does_not_take(notation: str, why: str) -> None:
    """The function is not strict then, and a note says for what."""
    tool = written("openai_function", notation)
    assert tool.document["function"]["strict"] is False
    assert tool.notes[-1].startswith(f"not strict: strict mode does not take {why}")
    assert tool.refusals == ()


def test_too_many_properties_are_not_strict() -> None:
    """Five thousand is the published limit, those of nested objects with them."""
    of = 'tagged["a", tagged["b", tagged["c", integer]]]'
    fields = ", ".join(f"a{number}: {of}" for number in range(715))
    tool = written("openai_function", f"{fields} -> b")
    assert tool.document["function"]["strict"] is False
    assert tool.notes == ("not strict: strict mode does not take more than 5000 properties",)


@pytest.mark.parametrize("target", ["openai_function", "anthropic_function"])
def test_names_of_tools_are_cut_and_cleaned(target: str) -> None:
    """Providers allow letters, digits and underscores, 64 of them."""
    document = written(target, "a -> b", name="a.b-c" + "x" * 100).document
    name = document.get("name") or document["function"]["name"]
    assert name == ("a_b_c" + "x" * 100)[:64]


def test_anthropic_has_the_schema_and_the_instructions() -> None:
    """All keywords stay."""
    tool = written(
        "anthropic_function",
        "a: constrained[string, max_length=5] -> b: probability",
        Side.OUTPUTS,
        instructions="Answer.",
    )
    assert tool.document == {
        "name": "answer_question",
        "description": "Answer.",
        "input_schema": {
            "type": "object",
            "properties": {"b": {"type": "number", "minimum": 0, "maximum": 1}},
            "required": ["b"],
            "additionalProperties": False,
        },
    }


def test_anthropic_refuses_keys_beyond_ascii() -> None:
    """The provider takes no such property, so the document would be refused."""
    assert written("anthropic_function", "é: string -> b").refusals == (
        "é: its keys are ASCII letters, digits, _, . and -",
    )
