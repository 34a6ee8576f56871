"""Faults in plain words: where in the value, what was expected, what came."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from pydantic_core import ErrorDetails, ValidationError

from app.errors import Fault

SHOWN = 80
"""Characters of a value that a message shows."""

WORDINGS: Mapping[str, tuple[str, str]] = {
    "missing": ("missing", "a value"),
    "extra_forbidden": ("unknown_field", "no such member"),
    "string_type": ("type", "text"),
    "int_type": ("type", "a whole number"),
    "int_from_float": ("type", "a whole number"),
    "int_parsing": ("type", "a whole number"),
    "int_parsing_size": ("type", "a whole number"),
    "float_type": ("type", "a number"),
    "float_parsing": ("type", "a number"),
    "bool_type": ("type", "true or false"),
    "bool_parsing": ("type", "true or false"),
    "list_type": ("type", "a list"),
    "dict_type": ("type", "an object"),
    "none_required": ("type", "null"),
    "literal_error": ("not_one_of", "{expected}"),
    "string_unicode": ("not_unicode", "text without lone surrogates"),
    "string_too_short": ("too_short", "of length {min_length} or more"),
    "string_too_long": ("too_long", "of length {max_length} or less"),
    "string_pattern_mismatch": ("pattern", "text that matches {pattern}"),
    "bytes_too_long": ("too_long", "of {max_length} bytes or less"),
    "too_short": ("too_short", "of length {min_length} or more"),
    "too_long": ("too_long", "of length {max_length} or less"),
    "greater_than_equal": ("too_small", "{ge} or more"),
    "less_than_equal": ("too_large", "{le} or less"),
    "multiple_of": ("not_multiple", "a multiple of {multiple_of}"),
    "finite_number": ("not_finite", "a finite number"),
    "recursion_loop": ("too_deep", "without loops and less deeply nested"),
}
"""From pydantic-core's error types to our code and what was expected.

Our own checks raise `PydanticCustomError` with the code as type and the expectation as message.
"""

_SENTENCES: Mapping[str, str] = {
    "missing": "{place} is missing",
    "unknown_field": "{place} is not known here",
}
_SENTENCE = "{place} must be {expected}, not {received}"
_KEY = "[key]"  # pydantic-core's last step to a faulty key, rather than to its value


class FaultsError(Exception):
    """Something is wrong, and `faults` holds every reason."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(fault.message for fault in self.faults))


class SignatureError(FaultsError):
    """A signature cannot be read."""


class ValuesError(FaultsError):
    """Values do not fit their signature."""


class NoSampleError(FaultsError):
    """No sample that the constraints accept was found; such a one has these faults."""


def faults_of(error: ValidationError, called: str | None = None) -> Iterator[Fault]:
    """Give each of pydantic-core's complaints as a fault; `called` names the whole value."""
    for details in error.errors(include_url=False):
        yield _fault(details, called)


def unknown_field(name: str, known: Iterable[str]) -> Fault:
    """Give the fault of a value whose field the signature does not have."""
    expected = cut("one of " + ", ".join(known))
    message = f"{place((name,))} is not a field of this signature"
    return Fault(pointer((name,)), "unknown_field", message, expected, shown(name))


def pointer(steps: Sequence[int | str]) -> str:
    """Give the steps as a JSON Pointer (RFC 6901)."""
    escaped = (str(step).replace("~", "~0").replace("/", "~1") for step in steps)
    return encodable("".join("/" + step for step in escaped))


def place(steps: Sequence[int | str]) -> str:
    """Give the steps as a reader says them: `tags[0].name`."""
    first, *rest = steps
    parts = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in rest)
    return cut(encodable(f"{first}{''.join(parts)}"))


def shown(value: Any) -> str:
    """Give the beginning of a value as JSON would write it; never raises, whatever the value."""
    return cut(encodable(_written(value, depth=3)))


def cut(text: str) -> str:
    """Give the text, or its beginning where it is long."""
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def encodable(text: str) -> str:
    """Give the text with lone surrogates escaped, so that an answer can carry it."""
    return text.encode("utf-8", "backslashreplace").decode()


def _fault(details: ErrorDetails, called: str | None) -> Fault:
    steps = details["loc"]
    if steps[-1:] == (_KEY,):
        steps = steps[:-1]
    where = place(steps if called is None else (called, *steps))
    code, expected = details["type"], details["msg"]
    if wording := WORDINGS.get(code):
        code, expected = wording[0], wording[1].format_map(details.get("ctx", {}))
    received = None if code == "missing" else shown(details["input"])
    sentence = _SENTENCES.get(code, _SENTENCE)
    message = sentence.format(place=where, expected=cut(expected), received=received)
    return Fault(pointer(steps), code, message, cut(expected), received)


def _written(value: Any, depth: int) -> str:
    match value:
        case str():
            return json.dumps(value[: SHOWN + 1], ensure_ascii=False)
        case int() if value.bit_length() > 4 * SHOWN:
            return f"a whole number of {value.bit_length()} bits"  # too long to be written
        case None | bool() | int() | float():
            return json.dumps(value)
        case list() | dict():
            return _nested(value, depth)
        case _:
            return f"a Python {type(value).__name__}"


def _nested(value: list[Any] | dict[Any, Any], depth: int) -> str:
    if depth == 0:
        return "…"
    if isinstance(value, list):
        return "[" + ", ".join(_written(item, depth - 1) for item in value[:SHOWN]) + "]"
    members = islice(value.items(), SHOWN)
    return "{" + ", ".join(f"{_written(k, 0)}: {_written(v, depth - 1)}" for k, v in members) + "}"
