"""DSPy's signature classes out of ours."""

from typing import Any, Literal

import dspy  # type: ignore[import-untyped]
import pytest

from app.adapters.dspy.loading import SHADOWING
from app.adapters.dspy.signatures import build_signature
from app.adapters.errors import AdapterError, ErrorType
from app.signatures.notation import parse_notation


def built(notation: str, instructions: str = "") -> Any:
    """Build the class of a notation."""
    return build_signature(parse_notation(notation, instructions))


def prompt_of(signature: Any) -> str:
    """Give what the model is told about the fields."""
    return str(dspy.JSONAdapter().format_field_description(signature))


def test_keeps_names_types_and_order() -> None:
    """Fields keep their order, and their types are our types' own annotations."""
    signature = built(
        'a: string, b: integer -> c: list[string], d: atom["x", "y"], e: optional[float], f: map'
    )
    assert list(signature.input_fields) == ["a", "b"]
    assert {name: of.annotation for name, of in signature.output_fields.items()} == {
        "c": list[str],
        "d": Literal["x", "y"],
        "e": float | None,
        "f": dict[str, Any],
    }


def test_keeps_the_instructions() -> None:
    """Instructions are the task; without any DSPy names the fields."""
    assert built("a: string -> b: string", "Be kind.").instructions == "Be kind."
    assert "`b`" in built("a: string -> b: string").instructions


@pytest.mark.parametrize(
    ("notation", "told"),
    [
        ("constrained[integer, min=1, max=9]", "greater than or equal to: 1, less than or equal"),
        ("constrained[string, min_length=2, max_length=5]", "minimum length: 2, maximum length: 5"),
        ("constrained[integer, multiple_of=3]", "a multiple of the given number: 3"),
        ("probability", "greater than or equal to: 0, less than or equal to: 1"),
        ("optional[constrained[integer, min=1]]", "greater than or equal to: 1"),
        ('constrained[string, pattern="^[a-z]+$"]', 'Constraint: pattern "^[a-z]+$".'),
        ('constrained[map, required_keys=["a"]]', 'Constraint: required keys ["a"].'),
    ],
)
def test_tells_the_constraints(notation: str, told: str) -> None:
    """Constraints of outputs stand in the prompt, in DSPy's words where it has some."""
    assert told in prompt_of(built(f"a: string -> b: {notation}"))


def test_leaves_to_the_type_what_the_type_tells() -> None:
    """The words of an atom are in its type and not said twice."""
    assert "Constraint" not in prompt_of(built('a: string -> b: atom["x", "y"]'))


def test_tells_descriptions() -> None:
    """Descriptions of inputs and outputs stand in the prompt, before the constraints."""
    definition = type(parse_notation("a: string -> b: string")).from_documents(
        [{"name": "a", "type": "string", "description": "What was asked."}],
        [
            {
                "name": "b",
                "type": "string",
                "description": "A code.",
                "constraints": {"pattern": "^x$"},
            }
        ],
    )
    told = prompt_of(build_signature(definition))
    assert "`a` (str): What was asked." in told
    assert '`b` (str): A code. Constraint: pattern "^x$".' in told


def test_keeps_defaults_of_outputs() -> None:
    """An output with a default may be left out by the model."""
    signature = built('a: string -> b: string = "none", c: string')
    assert signature.output_fields["b"].default == "none"
    assert signature.output_fields["c"].is_required()


@pytest.mark.filterwarnings(f"ignore:{SHADOWING}:UserWarning")
@pytest.mark.parametrize(
    "name",
    ["copy", "json", "schema", "insert", "items", "keys", "model_x", "self", "config"],
)
def test_takes_names_that_python_uses(name: str) -> None:
    """Names that pydantic or DSPy use themselves are fine for outputs."""
    assert list(built(f"a: string -> {name}: string").output_fields) == [name]


@pytest.mark.parametrize(
    ("notation", "field"),
    [
        ("config: string -> b: string", "'config'"),
        ("signature: string -> b: string", "'signature'"),
        ("self: string -> b: string", "'self'"),
        ("_a: string -> b: string", "'_a'"),
        ("a: string -> _b: string", "'_b'"),
        ("a: string -> instructions: string", "'instructions'"),
        ("fields: string -> a: string", "'fields'"),
    ],
)
def test_refuses_names_that_dspy_cannot_hold(notation: str, field: str) -> None:
    """A name that DSPy would take for something else is unsupported, and named."""
    with pytest.raises(AdapterError, match=field) as caught:
        built(notation)
    assert caught.value.type is ErrorType.UNSUPPORTED


def test_refuses_what_pydantic_does_not_take() -> None:
    """A signature that fails to become a class is unsupported, not an accident."""
    with pytest.raises(AdapterError, match="cannot hold this signature") as caught:
        built("a: string -> model_dump: string")
    assert caught.value.type is ErrorType.UNSUPPORTED
