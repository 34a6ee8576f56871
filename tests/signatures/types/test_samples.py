# ruff: noqa: S311 - samples are no secrets
"""Sample values: valid as they stand, and the same for the same randomness."""

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from app.signatures.notation import parse_type
from app.signatures.serializers.json_schema import every_part
from app.signatures.types.base import FieldType
from app.signatures.types.formats import FORMATS
from app.signatures.types.patterns import UnknownPatternError, pattern_sample
from app.signatures.types.sampling import UnsampledError
from tests.support.strategies import types

SAMPLED = [
    "string",
    "constrained[string, min_length=30]",
    "constrained[string, min_length=1, max_length=1]",
    'constrained[string, pattern="^a{2,4}$", min_length=3]',
    *(f'constrained[string, format="{name}"]' for name in FORMATS),
    "integer",
    "constrained[integer, min=7, multiple_of=5]",
    "constrained[integer, max=-7, multiple_of=5]",
    "constrained[integer, min=10, max=12]",
    "float",
    "constrained[float, max=-2.5]",
    "constrained[float, min=0.001, max=0.002]",
    "constrained[float, min=3, precision=1]",
    "constrained[float, max=1.7976931348623157e308]",
    "constrained[embedding, dimensions=0, min_value=1]",
    "boolean",
    "atom",
    'atom["a", "b"]',
    "any",
    "map",
    'constrained[map, min_size=3, required_keys=["a"]]',
    "binary",
    "constrained[binary, max_bytes=2]",
    "embedding",
    "constrained[embedding, dimensions=4, min_value=2]",
    "probability",
    "confidence_score",
    "reasoning_chain",
    'constrained[reasoning_chain, max_steps=1, step_format="^Step [0-9]+: "]',
    "token_count",
    "constrained[token_count, max_tokens=0]",
    "model_output",
    "constrained[model_output, max_length=3]",
    "prompt_template",
    'constrained[prompt_template, required_variables=["a", "b"]]',
    "function_call",
    'constrained[function_call, allowed_functions=["f"]]',
    "tool_result",
    "list[integer]",
    "constrained[list[integer], min_length=5, max_length=5, unique=true]",
    "constrained[list[string], max_length=0]",
    "dict[string, integer]",
    'constrained[dict[atom["a", "b"], integer], min_size=2]',
    "union[integer, string]",
    "optional[integer]",
    'tagged["ok", integer]',
]

PATTERNS = [
    "abc",
    "^a|b$",
    r"^\d{3}-\d{2,4}$",
    r"^[A-Z][a-z]*\.?$",
    r"^(?:ab)+(?P<tail>c)?(?<end>d)(e)$",
    r"^[^a-y0-9]{2,}$",
    r"^[\w.-]+@[a-z-]+?$",
    r"\bword\b",
    r"^a\tb\+.$",
    r"^[\]a]$",
]


@pytest.mark.parametrize("text", SAMPLED)
def test_samples_are_accepted(text: str) -> None:
    """What a type makes up, it accepts as it stands, and makes again from the same randomness."""
    sampled = parse_type(text)
    for seed in range(30):
        value = sampled.sample(Random(seed))
        assert sampled.accepts(value), value
        assert sampled.sample(Random(seed)) == value


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_are_matched(pattern: str) -> None:
    """Text made from an everyday pattern matches it."""
    sampled = parse_type("string").with_constraints({"pattern": pattern})
    for seed in range(30):
        assert sampled.accepts(sampled.sample(Random(seed)))


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        "a)",
        "[a",
        "[[a]]",
        r"\pL",
        "a{",
        "a{2",
        "a{,2}",
        "a{2000}",
        "(?i)a",
        "(?P<a",
        "\\",
        "[a-",
        r"[\b-z]",
        r"[a-\d]",
    ],
)
def test_rare_patterns_have_no_sample(pattern: str) -> None:
    """A pattern with anything that the sampler does not know is refused, not guessed."""
    with pytest.raises(UnknownPatternError):
        pattern_sample(pattern, Random(1))


@given(st.text(alphabet="ab\\[]{}()^$-|?*+.,0123<>P:", max_size=30))
def test_any_pattern_is_sampled_or_refused(pattern: str) -> None:
    """No pattern makes the sampler fail in any other way."""
    try:
        assert isinstance(pattern_sample(pattern, Random(1)), str)
    except UnknownPatternError:
        return


@pytest.mark.parametrize(
    "notation",
    [
        r'constrained[string, pattern="\\p{Greek}"]',
        'constrained[string, pattern="^ab$", min_length=3]',
        'constrained[string, pattern="a^b"]',
        'constrained[string, format="date", max_length=3]',
        'constrained[string, format="date", pattern="z"]',
        'list[constrained[string, pattern="a^b"]]',
        'constrained[reasoning_chain, step_format="a^b"]',
    ],
)
def test_some_types_have_no_sample(notation: str) -> None:
    """Where no text is known that fits, there is none, and only values that must not pass."""
    of = parse_type(notation)
    with pytest.raises(UnsampledError):
        of.small_sample(Random(1))
    samples = list(of.samples(Random(1)))
    assert samples
    assert not any(sample.must_pass for sample in samples)


def test_a_sample_gives_up() -> None:
    """Where not enough different items or keys exist, the sample is as long as it can be."""
    unique = parse_type("constrained[list[boolean], min_length=3, unique=true]")
    assert sorted(unique.sample(Random(1))) == [False, True]
    keys = parse_type('constrained[dict[atom["a"], integer], min_size=2]')
    assert list(keys.sample(Random(1))) == ["a"]


@pytest.mark.parametrize(
    "notation",
    [
        "constrained[string, min_length=9007199254740992]",
        "constrained[list[integer], min_length=9007199254740992]",
        "constrained[dict[string, integer], min_size=9007199254740992]",
        "constrained[map, min_size=9007199254740992]",
        "constrained[embedding, dimensions=9007199254740992]",
    ],
)
def test_a_sample_of_immense_size_is_not_made(notation: str) -> None:
    """Whoever asks for one is told why there is none."""
    with pytest.raises(UnsampledError, match="more than"):
        parse_type(notation).small_sample(Random(0))


EDGES: list[tuple[str, list[Any], list[Any]]] = [
    ("constrained[string, min_length=2, max_length=3]", ["xx", "xxx"], ["x", "xxxx"]),
    ('constrained[string, pattern="^a+$"]', [], ["", " ", "0"]),
    ('constrained[string, format="date"]', ["2026-01-31"], ["no date at all"]),
    ("constrained[integer, min=3, max=9, multiple_of=3]", [3, 3.0, 9, 9.0], [2, 10, 4]),
    ("integer", [-(2**63), 2**63 - 1, str(2**63 - 1)], [2**63, -(2**63) - 1]),
    ("constrained[float, min=1, max=2]", [1.0, "1", 2.0, "2"], [0.9999999999999999]),
    ("constrained[float, min=1, max=2, precision=1]", [], [0.0, 3.0]),
    ("boolean", [True, "true", 1, "false", 0], [2, "yes", None]),
    ('atom["a", "b"]', ["a", "b"], ["a_b", "", None]),
    ("any", [None, [], {}], [2**64]),
    ('constrained[map, required_keys=["a", "b"]]', [], [{"a": ...}, {"b": ...}]),
    ("constrained[map, min_size=2, max_size=2]", [], [{"key_0": ...}, {"key 0": None}]),
    ("constrained[binary, max_bytes=3]", ["AAAA"], ["AAAAAA=="]),
    ("constrained[embedding, dimensions=1, min_value=0]", [[0.0]], [[..., 0.0], [-5e-324]]),
    ("constrained[embedding, dimensions=0, min_value=1]", [[]], [[0.0]]),
    ("constrained[float, max=1.7976931348623157e308]", [1.7976931348623157e308], []),
    ("probability", [0, 1], [-0.1, 1.1, "0.5"]),
    ("constrained[token_count, max_tokens=5]", [0, 5, "5"], [6, -1]),
    ("constrained[model_output, max_length=1]", ["x", {"text": "any object"}], ["xx"]),
    ('constrained[prompt_template, required_variables=["a"]]', ["{a}"], ["{{a}}", "{"]),
    (
        'constrained[function_call, allowed_functions=["f"]]',
        [{"name": "f", "arguments": {}}],
        [{"name": "f", "arguments": []}],
    ),
    (
        "tool_result",
        [{"tool": "search", "result": None, "error": "it failed"}],
        [{"tool": "search", "result": 1, "error": 5}],
    ),
    ("constrained[reasoning_chain, max_steps=0]", [[]], [[...]]),
    ("constrained[list[boolean], min_length=2, max_length=2]", [[1, ...]], [[...], [None, ...]]),
    ("constrained[list[boolean], unique=true, max_length=1]", [], [[2], [..., ...]]),
    ("dict[atom['k'], probability]", [{"k": 0}], [{"k": "0.5"}, {"": ...}]),
    ("constrained[dict[string, boolean], max_size=0]", [{}], [{"key 0": ...}]),
    ("integer | probability", [0, 0.5, str(2**63 - 1)], [None, True]),
    ("optional[probability]", [None, 0, 1], [1.1]),
    (
        'tagged["ok", probability]',
        [{"tag": "ok", "value": 1}],
        [{"tag": "not ok", "value": ...}, {"tag": "ok"}, {"tag": "ok", "value": 1.1}],
    ),
]
"""Of a type: some samples that must pass, and some that must not; ... stands for any value."""


@pytest.mark.parametrize(("text", "passing", "refused"), EDGES, ids=range(len(EDGES)))
def test_samples_know_whether_they_must_pass(
    text: str, passing: list[Any], refused: list[Any]
) -> None:
    """At each bound a value must pass, just past it one must not."""
    samples = list(parse_type(text).samples(Random(1)))
    for must_pass, expected in ((True, passing), (False, refused)):
        found = [sample.value for sample in samples if sample.must_pass is must_pass]
        assert [one for one in expected if not any(_like(other, one) for other in found)] == []


def _like(value: Any, pattern: Any) -> bool:
    if pattern is ...:
        return True
    if type(value) is not type(pattern):
        return False
    if isinstance(pattern, list):
        same_length = len(value) == len(pattern)
        return same_length and all(map(_like, value, pattern))
    if isinstance(pattern, dict):
        return value.keys() >= pattern.keys() and all(
            _like(value[key], of) for key, of in pattern.items()
        )
    return bool(value == pattern)


@pytest.mark.parametrize("text", SAMPLED)
def test_the_validator_does_as_samples_say(text: str) -> None:
    """What must pass passes, what must not is refused."""
    of = parse_type(text)
    for seed in range(5):
        for sample in of.samples(Random(seed)):
            assert taken(of, sample.value) is sample.must_pass, sample


@settings(deadline=None)
@given(types(), st.randoms(use_true_random=False))
def test_the_validator_does_as_samples_say_of_any_type(of: FieldType, random: Any) -> None:
    """Unless the constraints of a part leave no value: then what must pass is refused."""
    samples = list(of.samples(random))
    assert not any(taken(of, sample.value) for sample in samples if not sample.must_pass)
    if all(_has_values(part) for part in every_part(of)):
        assert [one for one in samples if one.must_pass and not taken(of, one.value)] == []


def _has_values(of: FieldType) -> bool:
    first = next(of.samples(Random(1)), None)
    return first is not None and first.must_pass and taken(of, first.value)


def taken(of: FieldType, value: Any) -> bool:
    """Say whether the type takes the value, converted where it has to be."""
    try:
        of.validate(value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    "text",
    [
        "constrained[integer, min=1, max=4, multiple_of=5]",
        "constrained[list[boolean], min_length=3, unique=true]",
        'constrained[prompt_template, required_variables=["long"], max_length=3]',
        'constrained[dict[atom["a"], integer], required_keys=["b"]]',
    ],
)
def test_constraints_that_leave_no_value_are_found_out(text: str) -> None:
    """The sample that must pass is refused."""
    first = next(parse_type(text).samples(Random(1)))
    assert first.must_pass
    assert not taken(parse_type(text), first.value)
