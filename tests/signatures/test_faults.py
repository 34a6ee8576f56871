from typing import Any

import pytest
from pydantic_core._pydantic_core import list_all_errors

from app.signatures.faults import WORDINGS, place, pointer, shown

ERRORS = list_all_errors()
SHOWN = [
    (None, "null"),
    (True, "true"),
    (1.5, "1.5"),
    (float("nan"), "NaN"),
    ("a\0ä", '"a\\u0000ä"'),
    ("\ud800", '"\\ud800"'),
    (10**5000, "a whole number of 16610 bits"),
    ([1, {"a": [{"b": 1}]}], '[1, {"a": […]}]'),
    (object(), "a Python object"),
]


@pytest.mark.parametrize(("value", "text"), SHOWN, ids=range(len(SHOWN)))
def test_shown(value: Any, text: str) -> None:
    """A value is shown as JSON would write it, whatever it is."""
    assert shown(value) == text


@pytest.mark.parametrize("value", ["a" * 10_000, ["a"] * 10_000, {str(i): 1 for i in range(1000)}])
def test_long_values_are_cut(value: Any) -> None:
    """Only the beginning of a long value is shown."""
    assert len(shown(value)) == 80


def test_pointers_are_escaped() -> None:
    """Paths are JSON Pointers, and can always be encoded."""
    assert pointer(("a/b", "~", 0, "\ud800")) == "/a~1b/~0/0/\\ud800"
    assert place(("tags", 0, "name")) == "tags[0].name"


@pytest.mark.parametrize("error_type", WORDINGS)
def test_wordings_fit(error_type: str) -> None:
    """Every wording belongs to an error that exists, and asks for nothing that it lacks."""
    contexts: dict[str, Any] = {error["type"]: error["example_context"] for error in ERRORS}
    _, template = WORDINGS[error_type]
    template.format_map(contexts[error_type] or {})
