# ruff: noqa: S311 - samples are no secrets
"""JSON Schema of types, held against what the types themselves take."""

from random import Random
from typing import Any

import jsonschema
import pytest

from app.signatures.definition import SignatureDefinition
from app.signatures.json_schema import side_schema, type_schema
from app.signatures.notation import parse_notation, parse_type
from app.signatures.types import TYPES
from tests.signatures.types.test_samples import SAMPLED

WRITTEN: list[tuple[str, dict[str, Any]]] = [
    (
        'constrained[string, min_length=1, max_length=9, pattern="a", format="email"]',
        {"type": "string", "minLength": 1, "maxLength": 9, "pattern": "a", "format": "email"},
    ),
    (
        "constrained[integer, min=0, max=9, multiple_of=3]",
        {"type": "integer", "minimum": 0, "maximum": 9, "multipleOf": 3},
    ),
    ("constrained[float, min=0, precision=2]", {"type": "number", "minimum": 0}),
    ('atom["a", "b"]', {"type": "string", "enum": ["a", "b"]}),
    ("any", {}),
    (
        'constrained[map, required_keys=["a"], min_size=1, max_size=2]',
        {"type": "object", "required": ["a"], "minProperties": 1, "maxProperties": 2},
    ),
    (
        'constrained[binary, media_type="image/png"]',
        {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"},
    ),
    (
        "constrained[list[probability], min_length=1, unique=true]",
        {
            "type": "array",
            "items": {"type": "number", "minimum": 0, "maximum": 1},
            "minItems": 1,
            "uniqueItems": True,
        },
    ),
    (
        'dict[atom["a"], boolean]',
        {
            "type": "object",
            "propertyNames": {"type": "string", "enum": ["a"]},
            "additionalProperties": {"type": "boolean"},
        },
    ),
    ("integer | null", {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
    (
        'tagged["ok", string]',
        {
            "type": "object",
            "properties": {"tag": {"const": "ok"}, "value": {"type": "string"}},
            "required": ["tag", "value"],
            "additionalProperties": False,
        },
    ),
]


@pytest.mark.parametrize(("text", "schema"), WRITTEN)
def test_constraints_stand_in_the_schema(text: str, schema: dict[str, Any]) -> None:
    """Under JSON Schema's own keywords."""
    assert type_schema(parse_type(text)) == schema


def test_every_type_is_tried() -> None:
    """A new type does not go untested."""
    assert {parse_type(text).name for text in SAMPLED} == set(TYPES)


@pytest.mark.parametrize("text", SAMPLED)
def test_what_a_type_takes_fits_its_schema(text: str) -> None:
    """Whatever samples it makes; the schema is one of draft 2020-12."""
    field_type = parse_type(text)
    schema = type_schema(field_type)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for seed in range(20):
        validator.validate(field_type.sample(Random(seed)))


@pytest.mark.parametrize("text", [text for text in SAMPLED if text != "any"])
def test_what_no_type_takes_fits_no_schema(text: str) -> None:
    """A value of no kind that the type knows is refused by both."""
    field_type = parse_type(text)
    values: list[Any] = [None, 1.5, "?", [[{}]], {"wat": []}, True]
    refused = [value for value in values if not field_type.accepts(value)]
    validator = jsonschema.Draft202012Validator(type_schema(field_type))
    assert refused
    assert any(not validator.is_valid(value) for value in refused)


def test_a_side_is_a_closed_object() -> None:
    """Defaults and descriptions stand in it; what has a default may be left out."""
    notation = parse_notation("a: string, b: integer = 1, c: optional[string] -> d: float")
    documents = [field.as_document() for field in notation.inputs]
    documents[0]["description"] = "The first."
    definition = SignatureDefinition.from_documents(documents, [{"name": "d", "type": "float"}])
    schema = side_schema(definition.inputs)
    assert schema == {
        "type": "object",
        "properties": {
            "a": {"type": "string", "description": "The first."},
            "b": {"type": "integer", "default": 1},
            "c": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "required": ["a"],
        "additionalProperties": False,
    }
    assert side_schema(definition.inputs, complete=True)["required"] == ["a", "b", "c"]
