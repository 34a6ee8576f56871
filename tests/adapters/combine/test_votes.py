"""Votes: what several values come to."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.combine.votes import vote, vote_by_field


@pytest.mark.parametrize(
    ("values", "chosen", "agreement"),
    [
        (["a", "b", "b"], "b", 0.6667),
        (["b", "a"], "b", 0.5),
        (["a"], "a", 1.0),
        ([True, False, False], False, 0.6667),
        ([True, 1, 1], 1, 0.6667),
        ([1, 100, 3], 3, 0.3333),
        ([0.25, 0.5, 0.75, 1.0], 0.5, 0.25),
        ([2, 2, 5], 2, 0.6667),
        ([None, None, "a"], None, 0.6667),
        ([["a", "b"], ["b", "a"], ["a", "b"]], ["a", "b"], 0.6667),
        ([{"a": 1, "b": 2}, {"b": 2, "a": 1}, {}], {"a": 1, "b": 2}, 0.6667),
        ([10**400, 1, 10**400], 10**400, 0.6667),
    ],
)
def test_one_value_counts(values: list[Any], chosen: Any, agreement: float) -> None:
    """Numbers come to their median, all else to what was said most often, else first."""
    found = vote(values)
    assert (found.value, type(found.value), found.agreement) == (chosen, type(chosen), agreement)


def test_fields_are_voted_on_one_by_one() -> None:
    """The answer may be one that nobody gave as a whole."""
    votes = vote_by_field(
        [
            {"mood": "good", "score": 1.0},
            {"mood": "bad", "score": 3.0},
            {"mood": "bad", "score": 9.0},
        ]
    )
    assert {name: of.value for name, of in votes.items()} == {"mood": "bad", "score": 3.0}
    assert votes["mood"].agrees == [False, True, True]


VALUES = st.lists(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    min_size=1,
    max_size=7,
)


@given(VALUES)
def test_the_value_is_always_one_that_was_given(values: list[Any]) -> None:
    """Whatever is said, what counts was said by somebody, and by as many as the agreement says."""
    found = vote(values)
    assert any(found.value is value for value in values)
    assert found.agreement == round(sum(found.agrees) / len(values), 4) > 0
