import json
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.signatures.definition import SignatureDefinition, SignatureError
from app.signatures.notation import parse_notation, parse_type
from app.signatures.types.base import FieldType
from tests.support.strategies import definitions, types

SPELLED = [
    ("str", "string"),
    ("int", "integer"),
    ("bool", "boolean"),
    ("atom", "atom"),
    ("float", "float"),
    ("bytes", "binary"),
    ("Any", "any"),
    ("dict", "map"),
    ("Dict", "map"),
    ("list", "list[any]"),
    ("List[str]", "list[string]"),
    ("dict[str, int]", "dict[string, integer]"),
    ("Literal[\"a\", 'b\"\\'']", 'atom["a", "b\\"\'"]'),
    ("Optional[int]", "optional[integer]"),
    ("int | None", "optional[integer]"),
    ("null | int", "optional[integer]"),
    ("Union[int, None]", "optional[integer]"),
    ("int | str", "union[integer, string]"),
    ("Union[int, str | bool, None]", "optional[union[integer, string, boolean]]"),
    ("optional[int] | str", "optional[union[integer, string]]"),
    ("optional[optional[int]]", "optional[integer]"),
    ("union[int]", "integer"),
    ("int | int", "integer"),
    ("int | int | str", "union[integer, string]"),
    ("optional[int | str]", "optional[union[integer, string]]"),
    ("list[ int ] ", "list[integer]"),
    ("constrained[str]", "string"),
]

WRONG = [
    ("", "syntax", "expected a type at column 1, found the end"),
    ("list[", "syntax", "column 6"),
    ("list[int", "syntax", "expected ']' at column 9"),
    ("int str", "syntax", 'expected the end at column 5, found "str"'),
    ("constrained[int, 5]", "syntax", "expected the name of a constraint at column 18"),
    ("constrained[int, min]", "syntax", "expected '='"),
    ("constrained[int, min=x]", "syntax", "expected a JSON value at column 22"),
    ("constrained[int, min=NaN]", "syntax", "JSON value"),
    ("constrained[int, min=" + "9" * 5000 + "]", "syntax", "JSON value"),
    ("constrained[any, x=" + "[" * 100_000 + "]", "syntax", "JSON value"),
    ("list[" * 16 + "int" + "]" * 16, "syntax", "deeper than 16"),
    ("text", "unknown_type", '"text" is none of the types string'),
    ("None", "unknown_type", "null alone"),
    ("constrained[text, min=1]", "unknown_type", "text"),
    ("constrained[int, min=1, min=1]", "constraint_conflict", "given twice"),
    ("constrained[int, length=1]", "unknown_constraint", "min, max, multiple_of"),
    ("constrained[int, min=5, max=1]", "constraint_conflict", "over max"),
    ("int[str]", "type_arguments", "nothing in brackets"),
    ("list[int, int]", "type_arguments", "one type"),
    ('list["a"]', "type_arguments", "one type"),
    ("list[None]", "type_arguments", "one type"),
    ("dict[int, str]", "type_arguments", "string or an atom"),
    ("atom[1]", "type_arguments", "texts"),
    ('atom["a", "a"]', "type_arguments", "different"),
    ("union[null]", "type_arguments", "takes types"),
    ('union[int, "a"]', "type_arguments", "takes types"),
    ("tagged[int, str]", "type_arguments", "a text and a type"),
]


@pytest.mark.parametrize(("written", "canonical"), SPELLED)
def test_spellings(written: str, canonical: str) -> None:
    """What Python and DSPy write is understood, and told in the canonical way."""
    assert parse_type(written).notation == canonical


@pytest.mark.parametrize(("text", "code", "message"), WRONG)
def test_wrong_types(text: str, code: str, message: str) -> None:
    """What is wrong with a type is told in words, with its column."""
    with pytest.raises(SignatureError) as refusal:
        parse_type(text)
    assert refusal.value.faults[0].code == code
    assert message in refusal.value.faults[0].message
    assert "column" in refusal.value.faults[0].message


def test_arrow_notation() -> None:
    """Types, defaults and constraints are read; a field without a type is a string."""
    text = (
        "question, tags: list[string] = [], n: int = 4.0\n"
        '-> answer: constrained[string, max_length=200], mood: atom["good", "bad"]'
    )
    definition = parse_notation(text, "Be kind.")
    assert definition.notation == (
        "question: string, tags: list[string] = [], n: integer = 4 -> "
        'answer: constrained[string, max_length=200], mood: atom["good", "bad"]'
    )
    assert definition.instructions == "Be kind."


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("question", ["syntax"]),
        ("question ->", ["no_fields"]),
        ("-> answer", ["no_fields"]),
        ("->", ["no_fields", "no_fields"]),
        ("a -> b -> c", ["syntax"]),
        ("a: text -> ?", ["unknown_type", "syntax"]),
        ("a,, b -> c", ["syntax"]),
        ("a: text, b: whole = 4 -> a: int", ["unknown_type", "unknown_type", "duplicate_name"]),
        ('a: int = "x" -> class', ["type", "name"]),
    ],
)
def test_wrong_notation(text: str, codes: list[str]) -> None:
    """Every fault of a text is told at once, all at the place of the notation."""
    with pytest.raises(SignatureError) as refusal:
        parse_notation(text)
    assert [fault.code for fault in refusal.value.faults] == codes
    assert {fault.path for fault in refusal.value.faults} == {"/notation"}


@settings(deadline=None)
@given(types())
def test_types_round_trip(of: FieldType) -> None:
    """A type is the same after its notation, which is a fixed point; so are its parts."""
    again = parse_type(of.notation)
    assert again == of
    assert hash(again) == hash(of)
    assert again.notation == of.notation
    assert parse_type(of.bare).with_constraints(of.constraints) == of


@settings(deadline=None)
@given(definitions(), st.text(max_size=9), st.text(max_size=9))
def test_signatures_round_trip(
    definition: SignatureDefinition, instructions: str, description: str
) -> None:
    """A definition is the same after its notation, and after its documents with all texts."""
    again = parse_notation(definition.notation)
    assert again == definition
    assert again.notation == definition.notation
    assert again.content_hash == definition.content_hash
    inputs = tuple(replace(field, description=description) for field in definition.inputs)
    told = replace(definition, inputs=inputs, instructions=instructions)
    documents = [[field.as_document() for field in side] for side in (told.inputs, told.outputs)]
    read_inputs, read_outputs = json.loads(json.dumps(documents))
    stored = SignatureDefinition.from_documents(read_inputs, read_outputs, instructions)
    assert stored == told
    assert stored.content_hash == told.content_hash


@settings(deadline=None)
@given(types(), st.integers(0, 9))
def test_values_round_trip(of: FieldType, seed: int) -> None:
    """What a type gives for a value, it takes again after JSON and gives the same."""
    for sample in of.samples(Random(seed)):  # noqa: S311 - no secret
        if of.accepts(sample.value):
            value = of.validate(json.loads(json.dumps(sample.value)))
            again = of.validate(json.loads(json.dumps(value)))
            assert (again, repr(again)) == (value, repr(value))


@settings(deadline=None)
@given(
    st.text()
    | st.lists(st.sampled_from(["a", ":", "list[", "]", "->", ",", "=", '"x"', "|", "{", "'"])).map(
        "".join
    )
)
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text makes the parser fail in any other way than by a fault."""
    try:
        parse_notation(text)
    except SignatureError as error:
        for fault in error.faults:
            fault.message.encode()
