from typing import Any

import pytest

from app.signatures.compile import CompiledSignature, ValuesError
from app.signatures.notation import parse_notation
from app.signatures.thorough import MOST_FAULTS


def refused(notation: str, value: Any) -> ValuesError:
    """Give the refusal of the value as the input `a`."""
    with pytest.raises(ValuesError) as refusal:
        CompiledSignature(parse_notation(f"{notation} -> b")).validate_inputs({"a": value})
    return refusal.value


def test_every_faulty_item_is_found() -> None:
    """Faults do not hide each other, in lists, in objects and in lists of lists."""
    assert [
        fault.path for fault in refused("a: list[list[int]]", [[1, "x"], "y", ["z"]]).faults
    ] == [
        "/a/0/1",
        "/a/1",
        "/a/2/0",
    ]
    assert len(refused("a: dict[string, int]", {"x": "y", "z": None}).faults) == 2


def test_the_search_ends() -> None:
    """A very long faulty list is refused with so many faults and no more."""
    assert len(refused("a: list[string]", [1] * 20_000).faults) == MOST_FAULTS


def test_unknown_members_are_counted() -> None:
    """An object with very many unknown members is refused with so many faults and no more."""
    call = {"name": "f", **{str(number): 1 for number in range(20_000)}}
    faults = refused("a: function_call", call).faults
    assert len(faults) == MOST_FAULTS + 1
    assert faults[0].path == "/a/arguments"


def test_a_default_is_no_schema() -> None:
    """A default that looks like a schema stays what it is."""
    notation = 'a: int, d: map = {"type": "list", "items_schema": 1}'
    assert [fault.path for fault in refused(notation, "x").faults] == ["/a"]
