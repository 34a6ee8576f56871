"""What changes between two signatures, and what of it breaks callers."""

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.signatures.compare import Change, compare
from app.signatures.compile import CompiledSignature, NoSampleError, ValuesError
from app.signatures.definition import FieldDefinition, Side, SignatureDefinition
from app.signatures.notation import parse_notation
from app.signatures.types.any import AnyType
from app.signatures.types.base import FieldType
from tests.support.strategies import constrained, definitions, types

INPUT_CHANGES: list[tuple[str, str, list[tuple[str, bool]]]] = [
    ("a: string", "a: str", []),
    ("a", "a, b", [("added", True)]),
    ("a", "a, b = 'x'", [("added", False)]),
    ("a", "a, b: optional[string]", [("added", False)]),
    ("a, b", "a", [("removed", True)]),
    ("a", "b", [("removed", True), ("added", True)]),
    ("a: integer", "a: float", [("type_widened", False)]),
    ("a: float", "a: integer", [("type_narrowed", True)]),
    ("a: string", "a: optional[string]", [("type_widened", False)]),
    ("a: optional[string]", "a: string", [("type_narrowed", True)]),
    ("a: string", "a: integer", [("type_changed", True)]),
    ("a: probability", "a: confidence_score", [("type_widened", False)]),
    ("a: integer | string", "a: integer", [("type_narrowed", True)]),
    ("a: integer", "a: integer | string", [("type_widened", False)]),
    ("a: list[integer]", "a: list[float]", [("type_widened", False)]),
    ("a: dict[string, float]", "a: dict[string, integer]", [("type_narrowed", True)]),
    ('a: list[atom["x"]]', 'a: list[atom["x", "y"]]', [("type_widened", False)]),
    ('a: atom["x", "y"]', 'a: atom["x"]', [("constraint_narrowed", True)]),
    (
        "a: constrained[integer, min=0]",
        "a: constrained[integer, min=1]",
        [("constraint_narrowed", True)],
    ),
    (
        "a: constrained[integer, min=0, max=5]",
        "a: constrained[integer, min=1, max=9]",
        [("constraint_narrowed", True), ("constraint_widened", False)],
    ),
    (
        "a: constrained[integer, min=1, multiple_of=2]",
        "a: constrained[integer, min=2, multiple_of=2]",
        [("constraint_narrowed", True)],
    ),
    (
        'a: constrained[string, pattern="a"]',
        'a: constrained[string, pattern="b"]',
        [("constraint_narrowed", True)],
    ),
    (
        'a: constrained[binary, media_type="a/b"]',
        "a: binary",
        [("constraint_widened", False)],
    ),
    (
        "a: constrained[float, max=1.5, precision=0]",
        "a: constrained[float, max=1.5, precision=1]",
        [("type_changed", True)],
    ),
    (
        "a: optional[constrained[integer, max=5]]",
        "a: optional[constrained[integer, max=4]]",
        [("constraint_narrowed", True)],
    ),
    ("a: string = 'x'", "a: string", [("default_changed", True)]),
    ("a: string = 'x'", "a: string = 'y'", [("default_changed", False)]),
    ("a: any = 1", "a: any = true", [("default_changed", False)]),
    ("a: string", "a: string = 'y'", [("default_changed", False)]),
    ("a: optional[string] = 'x'", "a: optional[string]", [("default_changed", False)]),
]
OUTPUT_CHANGES: list[tuple[str, str, list[tuple[str, bool]]]] = [
    ("a", "a, b", [("added", False)]),
    ("a, b", "a", [("removed", True)]),
    ("a: integer", "a: float", [("type_widened", True)]),
    ("a: float", "a: integer", [("type_narrowed", False)]),
    ("a: probability", "a: confidence_score", [("type_narrowed", False)]),
    ("a: string", "a: optional[string]", [("type_widened", True)]),
    ("a: string", "a: integer", [("type_changed", True)]),
    ('a: atom["x"]', 'a: atom["x", "y"]', [("constraint_widened", True)]),
    ('a: atom["x", "y"]', 'a: atom["x"]', [("constraint_narrowed", False)]),
    (
        'a: constrained[string, pattern="a"]',
        'a: constrained[string, pattern="b"]',
        [("constraint_widened", True)],
    ),
    (
        'a: constrained[binary, media_type="a/b"]',
        "a: binary",
        [("constraint_narrowed", False)],
    ),
    ("a: string = 'x'", "a: string", [("default_changed", False)]),
]


def changes(old: SignatureDefinition, new: SignatureDefinition) -> list[tuple[str, bool]]:
    """Give what changes and whether it breaks, in order."""
    return [(str(change.change), change.breaking) for change in compare(old, new)]


@pytest.mark.parametrize(("old", "new", "expected"), INPUT_CHANGES)
def test_inputs(old: str, new: str, expected: list[tuple[str, bool]]) -> None:
    """An input must go on taking all that it took."""
    found = changes(parse_notation(f"{old} -> z"), parse_notation(f"{new} -> z"))
    assert found == expected


@pytest.mark.parametrize(("old", "new", "expected"), OUTPUT_CHANGES)
def test_outputs(old: str, new: str, expected: list[tuple[str, bool]]) -> None:
    """An output must give nothing that it did not give."""
    found = changes(parse_notation(f"z -> {old}"), parse_notation(f"z -> {new}"))
    assert found == expected


def test_texts() -> None:
    """Descriptions and instructions never break anybody."""
    old = SignatureDefinition.from_documents(
        [{"name": "a", "type": "str", "description": "one"}], [{"name": "b", "type": "str"}], "Do."
    )
    new = SignatureDefinition.from_documents(
        [{"name": "a", "type": "str", "description": "two"}], [{"name": "b", "type": "str"}], "Go."
    )
    told = [(change.field, change.side, str(change.change)) for change in compare(old, new)]
    assert told == [("a", Side.INPUTS, "text_changed"), (None, None, "text_changed")]
    assert not any(change.breaking for change in compare(old, new))


def test_details() -> None:
    """Each change says from what to what."""
    old = parse_notation("a: constrained[integer, min=0] = 3, b: string, c: string -> z")
    new = parse_notation("a: constrained[integer, min=1], b: integer, d: string -> z")
    told = {(change.field, str(change.change)): change.detail for change in compare(old, new)}
    assert told == {
        ("a", "constraint_narrowed"): "min: 0 → 1",
        ("a", "default_changed"): "3 → no default",
        ("b", "type_changed"): "string → integer",
        ("c", "removed"): "c: string",
        ("d", "added"): "d: string",
    }


@given(definitions())
def test_nothing_changes_from_itself(definition: SignatureDefinition) -> None:
    """A signature can replace itself."""
    assert compare(definition, definition) == []


@st.composite
def versions(draw: st.DrawFn) -> tuple[SignatureDefinition, SignatureDefinition]:
    """Make a signature and another that is made of it."""
    old = draw(definitions())
    sides: list[tuple[FieldDefinition, ...]] = []
    for fields in (old.inputs, old.outputs):
        kept = [draw(_changed(field)) for field in fields if draw(st.integers(0, 9))]
        more = [FieldDefinition("added", draw(types()), "", None)] * (not draw(st.integers(0, 4)))
        sides.append((*kept, *more))
    return old, SignatureDefinition(sides[0], sides[1])


@st.composite
def _changed(draw: st.DrawFn, field: FieldDefinition) -> FieldDefinition:
    of: FieldType = field.type
    choice = draw(st.integers(0, 4))
    if choice == 0 and of.allowed:
        of = draw(constrained(type(of).of())) if of.parts == () else of
    elif choice == 1:
        of = AnyType()
    elif choice == 2:
        of = draw(types())
    return FieldDefinition(field.name, of, field.description, field.default)


@settings(deadline=None, max_examples=30)
@given(versions(), st.integers(0, 99))
def test_what_is_compatible_takes_and_gives_the_same(
    pair: tuple[SignatureDefinition, SignatureDefinition], seed: int
) -> None:
    """Samples of the old inputs pass the new ones; those of the new outputs pass the old ones."""
    old, new = pair
    if any(change.breaking for change in compare(old, new)):
        return
    random = Random(seed)  # noqa: S311 - samples are no secrets
    before, after = CompiledSignature(old), CompiledSignature(new)
    inputs = _sampled(before, Side.INPUTS, random)
    if inputs is not None:
        after.validate_inputs(inputs)
    outputs = _sampled(after, Side.OUTPUTS, random)
    if outputs is not None:
        before.validate_outputs({field.name: outputs[field.name] for field in old.outputs})


def _sampled(signature: CompiledSignature, side: Side, random: Random) -> dict[str, Any] | None:
    try:
        if side is Side.INPUTS:
            return signature.sample_inputs(random)
        return signature.sample_outputs(random)
    except NoSampleError:
        return None


@settings(deadline=None, max_examples=30)
@given(versions(), st.integers(0, 99))
def test_every_sample_of_a_compatible_field_passes(
    pair: tuple[SignatureDefinition, SignatureDefinition], seed: int
) -> None:
    """Field by field, at every bound, as it stands and converted."""
    old, new = pair
    breaking = {change.field for change in compare(old, new) if change.breaking}
    for side in Side:
        giving, taking = (old, new) if side is Side.INPUTS else (new, old)
        fields = {field.name: field for field in taking.fields(side)}
        for field in giving.fields(side):
            if field.name in breaking or field.name not in fields:
                continue
            _passes_on(field, fields[field.name], seed)


def _passes_on(giving: FieldDefinition, taking: FieldDefinition, seed: int) -> None:
    for sample in giving.type.samples(Random(seed)):  # noqa: S311 - samples are no secrets
        if _is_taken(giving, sample.value):
            assert _is_taken(taking, sample.value), (giving, taking, sample)


def _is_taken(field: FieldDefinition, value: Any) -> bool:
    signature = CompiledSignature(SignatureDefinition((field,), ()))
    try:
        signature.validate_inputs({field.name: value})
    except ValuesError:
        return False
    return True


def test_a_change_is_a_value() -> None:
    """Two comparisons of the same signatures are equal."""
    old, new = parse_notation("a -> z"), parse_notation("b -> z")
    assert compare(old, new) == compare(old, new)
    assert isinstance(compare(old, new)[0], Change)
