# ruff: noqa: S311 - samples are no secrets
"""Sample values: valid as they stand, and the same for the same randomness."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.signatures.notation import parse_type
from app.signatures.types.base import MOST_SAMPLED
from app.signatures.types.formats import FORMATS
from app.signatures.types.patterns import UnknownPatternError, pattern_sample

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


def test_a_rare_pattern_leaves_plain_text() -> None:
    """A type whose pattern cannot be sampled gives text all the same."""
    sampled = parse_type("string").with_constraints({"pattern": r"\p{Greek}"})
    assert not sampled.accepts(sampled.sample(Random(1)))


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
def test_a_sample_of_immense_size_falls_short(notation: str) -> None:
    """Whoever asks for one waits for a small value, which does not fit."""
    kind = parse_type(notation)
    sample = kind.sample(Random(0))
    assert len(sample) <= MOST_SAMPLED
    assert not kind.accepts(sample)
