"""Source text of Python, executed: it defines the classes that it promises."""

from typing import Annotated, Any, Literal, get_args, get_origin

import dspy  # type: ignore[import-untyped]
import pytest
from pydantic import BaseModel, ValidationError

from app.signatures.definition import Side, SignatureDefinition
from app.signatures.notation import parse_notation
from app.signatures.serializers import SERIALIZERS, NamedSignature, Serialized, Target


def written(notation: str, side: Side = Side.INPUTS, instructions: str = "") -> Serialized:
    """Write the source of a signature."""
    definition = parse_notation(notation, instructions)
    return SERIALIZERS[Target.PYTHON_TYPE](NamedSignature("answer-question", definition), side)


def defined(source: str) -> dict[str, Any]:
    """Run the source and give what it defines."""
    namespace: dict[str, Any] = {"__name__": "written"}
    exec(source, namespace)  # noqa: S102 - it is ours, and running it is the test
    return namespace


def test_the_model_holds_the_values() -> None:
    """Its types and bounds are the side's."""
    source = written(
        "a: constrained[string, max_length=3], b: optional[integer], "
        "c: list[constrained[integer, min=1]] = [1], d: binary, e: any -> z"
    )
    model: type[BaseModel] = defined(source.document)["AnswerQuestionInputs"]
    assert model(a="abc", d=b"x", e=None).model_dump() == {
        "a": "abc",
        "b": None,
        "c": [1],
        "d": b"x",
        "e": None,
    }
    with pytest.raises(ValidationError) as refusal:
        model(a="abcd", c=[0], d=b"", e=1)
    assert {error["loc"] for error in refusal.value.errors()} == {("a",), ("c", 0)}


def test_the_whole_is_a_dspy_signature() -> None:
    """With both sides, the instructions as its doc string, descriptions and bounds."""
    definition = SignatureDefinition.from_documents(
        [{"name": "a", "type": "string", "description": 'Say "it".'}],
        [{"name": "b", "type": "integer", "constraints": {"min": 1}}],
        'Be "kind".\nAlways.',
    )
    source = SERIALIZERS[Target.PYTHON_TYPE](NamedSignature("x", definition), Side.OUTPUTS).document
    signature = defined(source)["X"]
    assert issubclass(signature, dspy.Signature)
    assert signature.instructions == 'Be "kind".\nAlways.'
    assert signature.input_fields["a"].json_schema_extra["desc"] == 'Say "it".'
    assert "greater than or equal to: 1" in str(signature.output_fields["b"].json_schema_extra)


def test_objects_are_classes() -> None:
    """Each shape is defined once, and under a name that nothing else has."""
    source = written(
        'a: tagged["x", integer], b: list[tagged["x", integer]], '
        'A: tagged["y", integer], any: tool_result -> z'
    )
    names = defined(source.document)
    model = names["AnswerQuestionInputs"].model_fields
    assert model["a"].annotation is names["A2"]
    (item,) = get_args(model["b"].annotation)
    assert item is names["A2"]
    assert model["A"].annotation is names["A3"]
    assert model["any"].annotation is names["Any2"]


@pytest.mark.parametrize("field", ["none", "true", "false"])
def test_classes_are_called_no_keywords(field: str) -> None:
    """A field whose name becomes a keyword as classes are written has a class all the same."""
    source = written(f'{field}: tagged["x", integer] -> a').document
    assert f"Signature{field.title()}" in defined(source)


def test_annotations() -> None:
    """Every kind of schema has its annotation."""
    source = written(
        'a: atom["x", "y"], b: dict[atom["k"], boolean], c: map, d: integer | float | string, '
        "e: embedding, f: optional[constrained[integer, max=3]], g: probability -> z"
    )
    fields = defined(source.document)["AnswerQuestionInputs"].model_fields
    assert fields["a"].annotation == Literal["x", "y"]
    assert fields["b"].annotation == dict[Literal["k"], bool]
    assert fields["c"].annotation == dict[str, Any]
    assert fields["d"].annotation == int | float | str
    assert fields["e"].annotation == list[float]
    bounded, nothing = get_args(fields["f"].annotation)
    assert (get_origin(bounded), get_args(bounded)[0], nothing) == (Annotated, int, type(None))
    assert {type(bound).__name__ for bound in fields["g"].metadata} == {"Ge", "Le"}


def test_what_python_cannot_hold_is_noted() -> None:
    """Formats, uniqueness, required keys, media types."""
    notes = written(
        'a: constrained[string, format="date"], b: constrained[list[any], unique=true], '
        'c: constrained[map, required_keys=["k"]], d: constrained[binary, media_type="a/b"], '
        "e: constrained[list[any], unique=false] -> z"
    ).notes
    assert notes == (
        "a: Python's types have no place for format",
        "b: Python's types have no place for uniqueItems",
        "c: Python's types have no place for required keys",
        "d: Python's types have no place for contentMediaType",
    )


@pytest.mark.parametrize("name", ["list", "str", "_private"])
def test_names_that_the_source_needs_are_refused(name: str) -> None:
    """A field of such a name would hide what the annotations are made of."""
    assert written(f"{name}: string -> z").refusals == (
        f"{name}: no field of these classes can have this name",
    )
