from collections.abc import Mapping
from typing import Any

import pytest

from app.adapters.lm_limits import LMLimiters, lms_of
from app.settings import LMSettings
from tests.support.clock import ManualClock


@pytest.mark.parametrize(
    ("config", "known", "lms"),
    [
        ({"lm": "a"}, "ab", {"a"}),
        ({"lm": "x"}, "ab", set()),
        ({}, "a", {"a"}),
        ({}, "ab", set()),
        ({"lm": "x"}, "a", set()),
        ({"lm": "a", "lms": {"p": "b", "q": "x"}}, "abc", {"a", "b"}),
        ({"lm": "a", "lms": "b"}, "ab", {"a"}),
        ({"lm": 5}, "ab", set()),
    ],
)
def test_finds_the_lms_of_a_program(config: Mapping[str, Any], known: str, lms: set[str]) -> None:
    """Its own, those of its predictors, or the only one that there is."""
    assert lms_of(config, known) == lms


def test_limits_are_divided_by_their_holders() -> None:
    """Each LM's by its own; what has not changed is left as it is."""
    lms = {
        "a": LMSettings(model="openai/small", requests_per_minute=30),
        "b": LMSettings(model="openai/small", max_concurrency=2),
    }
    limiters = LMLimiters(lms, ManualClock())
    before = limiters["b"].limits
    assert (before.max_concurrency, before.interactive_share, before.max_wait_s) == (2, 0.2, 10)
    limiters.divide({})
    assert limiters["b"].limits is before
    limiters.divide({"a": 3, "b": 5})
    parts = [limiters.parts[name] for name in lms]
    assert [(of.max_concurrency, of.requests_per_minute) for of in parts] == [(21, 10), (1, None)]
    limiters.divide({"a": 3, "b": 1})
    assert limiters["b"].limits == before
