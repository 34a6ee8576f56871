"""From DSPy's classes and Python's annotations to our types."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from enum import Enum
from typing import Annotated, Any, Dict, List, Literal, Optional, Union  # noqa: UP035 - also read
from uuid import UUID

import annotated_types
import dspy  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from pydantic import BaseModel, Field, StringConstraints

from app.adapters.dspy.finding import NoSignatureError, find_signature
from app.adapters.dspy.python_types import UnknownAnnotationError, read_type
from app.adapters.dspy.read_signatures import UnreadableSignatureError, read_signature
from app.adapters.dspy.signatures import build_signature
from app.adapters.errors import AdapterError
from app.signatures.definition import SignatureDefinition
from app.signatures.losses import losses
from app.signatures.notation import parse_notation, parse_type
from tests.support.strategies import definitions


class Mood(Enum):
    """Symbols by their values."""

    GOOD = "good"
    BAD = "bad"


class Person(BaseModel):
    """A model of somebody's own."""

    name: str
    age: int = 3
    home: str = Field(alias="address")


class Free(BaseModel):
    """A model without required members."""

    name: str = ""


READ: list[tuple[Any, str]] = [
    (str, "string"),
    (int, "integer"),
    (float, "float"),
    (bool, "boolean"),
    (bytes, "binary"),
    (Any, "any"),
    (dict, "map"),
    (list, "list[any]"),
    (list[str], "list[string]"),
    (List[str], "list[string]"),  # noqa: UP006 - as older code writes it
    (dict[str, int], "dict[string, integer]"),
    (Dict[str, Any], "map"),  # noqa: UP006
    (dict[Literal["a"], int], 'dict[atom["a"], integer]'),
    (Literal["a", "b"], 'atom["a", "b"]'),
    (Mood, 'atom["good", "bad"]'),
    (Optional[int], "optional[integer]"),  # noqa: UP045
    (int | None, "optional[integer]"),
    (Union[int, str], "union[integer, string]"),  # noqa: UP007
    (int | str | None, "optional[union[integer, string]]"),
    (datetime, 'constrained[string, format="date-time"]'),
    (date, 'constrained[string, format="date"]'),
    (time, 'constrained[string, format="time"]'),
    (timedelta, 'constrained[string, format="duration"]'),
    (UUID, 'constrained[string, format="uuid"]'),
    (Person, 'constrained[map, required_keys=["name", "address"]]'),
    (Free, "map"),
    (
        Annotated[int, Field(ge=1, le=9, multiple_of=2)],
        "constrained[integer, min=1, max=9, multiple_of=2]",
    ),
    (Annotated[int, Field(gt=1, lt=9)], "constrained[integer, min=2, max=8]"),
    (Annotated[float, Field(gt=0)], "constrained[float, min=5e-324]"),
    (Annotated[float, Field(lt=0)], "constrained[float, max=-5e-324]"),
    (
        Annotated[str, Field(min_length=1, max_length=5, pattern="^a")],
        'constrained[string, min_length=1, max_length=5, pattern="^a"]',
    ),
    (
        Annotated[str, StringConstraints(max_length=5, pattern="^a")],
        'constrained[string, max_length=5, pattern="^a"]',
    ),
    (Annotated[str, annotated_types.Len(1, 5)], "constrained[string, min_length=1, max_length=5]"),
    (Annotated[list[int], Field(min_length=1)], "constrained[list[integer], min_length=1]"),
    (
        Annotated[dict[str, int], Field(max_length=5)],
        "constrained[dict[string, integer], max_size=5]",
    ),
    (Annotated[dict[str, Any], Field(min_length=1)], "constrained[map, min_size=1]"),
    (Annotated[bytes, Field(max_length=5)], "constrained[binary, max_bytes=5]"),
    (Annotated[int | None, Field(ge=1)], "optional[constrained[integer, min=1]]"),
    (list[Annotated[int, Field(ge=1)]], "list[constrained[integer, min=1]]"),
    (
        Annotated[str | dict, Field(max_length=5)],
        "union[constrained[string, max_length=5], constrained[map, max_size=5]]",
    ),
    (Annotated[str, "a note that is none of pydantic's"], "string"),
    (parse_type("function_call").annotation(), "function_call"),
    (parse_type("tool_result").annotation(), "tool_result"),
    (parse_type('tagged["ok", integer]').annotation(), 'tagged["ok", integer]'),
]
UNREAD: list[Any] = [
    complex,
    tuple[int, str],
    set[int],
    Literal[1, 2],
    dict[int, str],
    Sequence[int],
    Mapping[str, int],
    "a text",
    Annotated[str, Field(ge=1)],
    Annotated[bytes, Field(min_length=1)],
    Annotated[int, Field(ge=0.5)],
]


@pytest.mark.parametrize(("annotation", "text"), READ, ids=range(len(READ)))
def test_read(annotation: Any, text: str) -> None:
    """Types and pydantic's constraints arrive as ours."""
    assert read_type(annotation).notation == text


@pytest.mark.parametrize("annotation", UNREAD, ids=range(len(UNREAD)))
def test_unread(annotation: Any) -> None:
    """What none of our types takes is refused, and not guessed."""
    with pytest.raises(UnknownAnnotationError):
        read_type(annotation)


KEPT = "a: string, b: optional[integer], c: list[tool_result] -> d: atom['x'], e: tagged['t', map]"


def test_a_signature_comes_back() -> None:
    """With fields, constraints of outputs that DSPy knows, and instructions."""
    bounded = "f: constrained[integer, min=1, max=9], g: constrained[string, max_length=3]"
    definition = parse_notation(f"{KEPT}, {bounded}", "Do it.")
    again = read_signature(build_signature(definition))
    assert losses(definition, again) == []
    assert again == definition


def test_what_dspy_does_not_hold() -> None:
    """Constraints of inputs, and types that Python has no word for."""
    definition = parse_notation("a: constrained[string, max_length=5], b: embedding -> c: atom")
    again = read_signature(build_signature(definition))
    assert losses(definition, again) == [
        "a: constrained[string, max_length=5] comes back as string",
        "b: embedding comes back as list[float]",
        "c: atom comes back as string",
    ]


@settings(deadline=None, max_examples=25)
@given(definitions())
def test_any_signature_that_dspy_holds_comes_back(definition: SignatureDefinition) -> None:
    """All its fields do, on their sides and in order."""
    try:
        again = read_signature(build_signature(definition))
    except AdapterError:
        return
    assert [field.name for field in again.inputs] == [field.name for field in definition.inputs]
    assert [field.name for field in again.outputs] == [field.name for field in definition.outputs]


def test_defaults_and_descriptions() -> None:
    """A default of null is none, where null stands for a value left out."""

    class Some(dspy.Signature):  # type: ignore[misc]
        a: str = dspy.InputField(desc="A word.", default="x")
        b: int | None = dspy.InputField(default=None)
        c: str = dspy.OutputField()

    definition = read_signature(Some)
    assert definition.notation == 'a: string = "x", b: optional[integer] -> c: string'
    assert [field.description for field in definition.inputs] == ["A word.", ""]


def test_fields_that_cannot_be_read_are_named() -> None:
    """All at once."""

    class Odd(dspy.Signature):  # type: ignore[misc]
        a: complex = dspy.InputField()
        b: tuple[int, str] = dspy.OutputField()

    with pytest.raises(UnreadableSignatureError, match=r"^a: no type .* b: no type "):
        read_signature(Odd)


class Asked(dspy.Signature):  # type: ignore[misc]
    """Answer."""

    question: str = dspy.InputField()
    answer: str = dspy.OutputField()


class Plain:
    """Answer in plain."""

    question: int = dspy.InputField()
    answer = dspy.OutputField()


class Holder:
    """Something that has a signature."""

    signature = Asked


class Program(dspy.Module):  # type: ignore[misc]
    """A module with one predictor."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = dspy.Predict(Asked)


class TwoSteps(dspy.Module):  # type: ignore[misc]
    """A module with two predictors."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = dspy.Predict(Asked), dspy.Predict(Asked)


@pytest.mark.parametrize("found", [Asked, Holder, Holder(), Program, Program()])
def test_found(found: Any) -> None:
    """A class of DSPy's, what has one as its signature, or a module with one predictor."""
    assert find_signature(found) is Asked


def test_a_plain_class_is_a_signature() -> None:
    """Where its attributes are DSPy's fields; one without a type is text."""
    definition = read_signature(find_signature(Plain))
    assert definition.notation == "question: integer -> answer: string"
    assert definition.instructions == "Answer in plain."


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (5, "int  is no signature"),
        (Mood, "EnumType Mood is no signature"),
        (TwoSteps, "one predictor to stand for; it has: first, second"),
        (dspy.Module(), "it has: none"),
    ],
)
def test_not_found(found: Any, said: str) -> None:
    """Anything else is none."""
    with pytest.raises(NoSignatureError, match=said):
        find_signature(found)
