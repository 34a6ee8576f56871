# ruff: noqa: S311 - samples are no secrets
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import Fault
from app.signatures.compile import CompiledSignature, NoSampleError, ValuesError
from app.signatures.notation import parse_notation

EVERYTHING = CompiledSignature(
    parse_notation(
        "s: string, i: integer, f: constrained[float, precision=2], b: boolean, y: any, m: map,"
        " x: binary, e: embedding, p: probability, r: reasoning_chain, t: token_count,"
        ' o: model_output, g: prompt_template, c: function_call, k: tool_result, a: atom["a"],'
        " l: constrained[list[list[integer]], unique=true], d: dict[string, float],"
        ' u: union[integer, list[string]], n: optional[integer], z: tagged["z", integer]'
        " -> answer"
    )
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.from_regex(r"[+-]?[0-9]{1,25}"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
FIELDS = st.sampled_from([field.name for field in EVERYTHING.definition.inputs])


def faults(signature: CompiledSignature, values: Any) -> dict[str, str]:
    """Give the code of each fault of the inputs by its path."""
    with pytest.raises(ValuesError) as refusal:
        signature.validate_inputs(values)
    return {fault.path: fault.code for fault in refusal.value.faults}


def taken_or_refused(values: Any) -> tuple[dict[str, Any] | None, tuple[Fault, ...]]:
    """Give the validated inputs, or the faults."""
    try:
        return EVERYTHING.validate_inputs(values), ()
    except ValuesError as error:
        return None, error.faults


def test_defaults_are_filled_and_not_shared() -> None:
    """What may be left out is filled in, fresh for each call, in the order of the fields."""
    signature = CompiledSignature(
        parse_notation('n: integer | null, tags: list[str] = ["a"], q -> answer')
    )
    first = signature.validate_inputs({"q": "?"})
    assert list(first.items()) == [("n", None), ("tags", ["a"]), ("q", "?")]
    first["tags"].append("b")
    assert signature.validate_inputs({"q": "?"})["tags"] == ["a"]


def test_values_are_not_changed() -> None:
    """Conversion makes new values and leaves the caller's alone."""
    signature = CompiledSignature(parse_notation("n: list[integer] -> answer"))
    given_values = {"n": ["1", 2]}
    assert signature.validate_inputs(given_values) == {"n": [1, 2]}
    assert given_values == {"n": ["1", 2]}


def test_all_faults_come_at_once() -> None:
    """Missing, unknown and wrong values are all told, and the message names each place."""
    signature = CompiledSignature(parse_notation("q: string, n: integer, tags: list[str] -> a"))
    with pytest.raises(ValuesError) as refusal:
        signature.validate_inputs({"q": 1, "tags": ["a", 2], "x/y": 1, "\ud800": 1})
    assert [(fault.path, fault.code) for fault in refusal.value.faults] == [
        ("/q", "type"),
        ("/n", "missing"),
        ("/tags/1", "type"),
        ("/x~1y", "unknown_field"),
        ("/\\ud800", "unknown_field"),
    ]
    assert refusal.value.faults[0].message == "q must be text, not 1"
    assert refusal.value.faults[1].message == "n is missing"
    assert refusal.value.faults[2].message == "tags[1] must be text, not 2"
    assert refusal.value.faults[3].expected == "one of q, n, tags"
    assert str(refusal.value).startswith("q must be text")


def test_an_unknown_field_alone_is_a_fault() -> None:
    """Values that fit are refused all the same with one too many."""
    signature = CompiledSignature(parse_notation("q -> a"))
    assert faults(signature, {"q": "?", "p": "!"}) == {"/p": "unknown_field"}


def test_values_must_be_an_object() -> None:
    """Anything but an object is one fault of the whole."""
    assert faults(EVERYTHING, ["q"]) == {"": "type"}


def test_outputs_are_validated_as_inputs_are() -> None:
    """Each side has its own fields."""
    signature = CompiledSignature(parse_notation("q -> n: integer"))
    assert signature.validate_outputs({"n": "4"}) == {"n": 4}
    with pytest.raises(ValuesError):
        signature.validate_outputs({"q": "?"})


def test_samples_validate() -> None:
    """Samples of both sides are valid, and the same for the same randomness."""
    sample = EVERYTHING.sample_inputs(Random(3))
    assert EVERYTHING.validate_inputs(sample) == sample
    assert EVERYTHING.sample_inputs(Random(3)) == sample
    assert list(EVERYTHING.sample_outputs(Random(3))) == ["answer"]


def test_impossible_samples_are_refused() -> None:
    """Constraints that nothing fulfils, or nothing that can be made up, give no sample."""
    signature = CompiledSignature(
        parse_notation("n: constrained[integer, min=1, max=2, multiple_of=5] -> answer")
    )
    with pytest.raises(NoSampleError, match="n must be 1 or more") as refusal:
        signature.sample_inputs(Random(1))
    assert [fault.path for fault in refusal.value.faults] == ["/n"]


@settings(deadline=None)
@given(st.dictionaries(FIELDS, JSON) | st.dictionaries(st.text(), JSON))
def test_any_values_are_taken_or_refused(values: Any) -> None:
    """No JSON value makes validation fail in any other way than by a fault."""
    for tried in (values, EVERYTHING.sample_inputs(Random(1)) | values):
        taken, found = taken_or_refused(tried)
        assert (taken is None) == bool(found)
        assert taken is None or taken_or_refused(taken) == (taken, ())
        assert all(f"{fault.path}{fault.message}{fault.received}".encode() for fault in found)
