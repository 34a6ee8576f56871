"""Strategies of hypothesis: any type with any constraints, and any signature made of them."""

import keyword
from collections.abc import Mapping
from random import Random
from typing import Any

from hypothesis import strategies as st

from app.signatures.constraints import LARGEST, SMALLEST
from app.signatures.definition import REQUIRED, FieldDefinition, SignatureDefinition
from app.signatures.reader import MAX_NAME
from app.signatures.types import TYPES
from app.signatures.types.base import FieldType
from app.signatures.types.formats import FORMATS

_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
_NAMES = st.lists(_TEXTS, min_size=1, max_size=3, unique=True)
_FEW = st.integers(0, 9)
_COUNTS = _FEW | st.integers(0, 2**53)
_WHOLE = st.integers(-9, 9) | st.integers(SMALLEST, LARGEST)
_NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9)
_PATTERNS = st.sampled_from(["^a{2,4}$", r'["\\\]\[}|]+', "it's", r"\p{Greek}", "é\n", r"^\d+$"])

CONSTRAINT_VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    "min_length": _FEW,
    "max_length": _COUNTS,
    "pattern": _PATTERNS,
    "format": st.sampled_from(sorted(FORMATS)),
    "multiple_of": st.integers(1, LARGEST),
    "precision": _COUNTS,
    "one_of": _NAMES,
    "required_keys": _NAMES,
    "min_size": _FEW,
    "max_size": _COUNTS,
    "max_bytes": _COUNTS,
    "media_type": _TEXTS,
    "dimensions": _FEW,
    "min_value": _NUMBERS,
    "max_value": _NUMBERS,
    "max_steps": _COUNTS,
    "step_format": _PATTERNS,
    "max_tokens": _COUNTS,
    "required_variables": _NAMES,
    "allowed_functions": _NAMES,
    "unique": st.booleans(),
}
"""Sound values of every constraint; those of `min` and `max` depend on the type."""

NESTING = ("list", "dict", "union", "optional", "tagged")


@st.composite
def constrained(draw: st.DrawFn, of: FieldType) -> FieldType:
    """Make the type with some of the constraints that it allows."""
    bounds = _NUMBERS if of.name == "float" else _WHOLE
    known = {**CONSTRAINT_VALUES, "min": bounds, "max": bounds}
    some = draw(st.fixed_dictionaries({}, optional={name: known[name] for name in of.allowed}))
    for low in [name for name in some if name.startswith("min")]:
        high = low.replace("min", "max")
        if high in some:
            some[low], some[high] = sorted((some[low], some[high]))
    return of.with_constraints(some)


def types() -> st.SearchStrategy[FieldType]:
    """Make types of every kind, nested and constrained."""
    simple = st.sampled_from([name for name in TYPES if name not in NESTING])
    leaves = simple.flatmap(lambda name: constrained(TYPES[name].of()))
    return st.recursive(leaves, _nested, max_leaves=5)


def _nested(inner: st.SearchStrategy[FieldType]) -> st.SearchStrategy[FieldType]:
    keys = st.sampled_from(["string", "atom"]).flatmap(lambda name: constrained(TYPES[name].of()))
    return st.one_of(
        inner.map(TYPES["list"].of).flatmap(constrained),
        st.builds(TYPES["dict"].of, keys, inner).flatmap(constrained),
        st.lists(inner, min_size=1, max_size=3).map(lambda members: TYPES["union"].of(*members)),
        inner.map(TYPES["optional"].of),
        st.builds(TYPES["tagged"].of, _TEXTS, inner),
    )


def field_names() -> st.SearchStrategy[str]:
    """Make names that fields may have, in any script."""
    letters = st.characters(categories=["L", "N"], include_characters="_")
    names = st.text(letters, min_size=1, max_size=MAX_NAME)
    return names.filter(lambda name: name.isidentifier() and not keyword.iskeyword(name))


@st.composite
def definitions(draw: st.DrawFn) -> SignatureDefinition:
    """Make signatures whose fields have no descriptions, which notation has no place for."""
    names = draw(st.lists(field_names(), min_size=2, max_size=5, unique=True))
    fields = tuple(FieldDefinition(name, *draw(_typed())) for name in names)
    split = draw(st.integers(1, len(fields) - 1))
    return SignatureDefinition(fields[:split], fields[split:])


@st.composite
def _typed(draw: st.DrawFn) -> tuple[FieldType, str, Any]:
    of = draw(types())
    random = Random(draw(st.integers(0, 9)))  # noqa: S311 - samples are no secrets
    first = next(of.samples(random), None)
    is_fitting = first is not None and first.must_pass and of.accepts(first.value)
    has_default = draw(st.booleans()) and is_fitting
    return of, "", of.validate(first.value) if first and has_default else REQUIRED
