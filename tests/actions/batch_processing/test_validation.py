"""Items are read as they come: under names of their own, with every fault at its place."""

from collections.abc import Mapping
from typing import Any

import pytest

from app.actions.batch_processing.validation import LONGEST_NAME, Incoming, ItemValidation
from app.errors import Fault
from app.signatures.compile import CompiledSignature
from app.signatures.notation import parse_notation
from app.stores.batch_items import NewItem


def a_validation(notation: str = "question: string, n: integer = 1 -> a") -> ItemValidation:
    """Validate items of a signature."""
    return ItemValidation(CompiledSignature(parse_notation(notation)))


def validated(validation: ItemValidation, *inputs: Any) -> list[NewItem]:
    """Validate items one after the other."""
    return [
        validation(Incoming(number, None, one, f"/batch_inputs/{number}"))
        for number, one in enumerate(inputs)
    ]


def faults(validation: ItemValidation) -> Mapping[str, str]:
    """Give the code of each fault by its place; none where nothing is refused."""
    refusal = validation.refusal()
    return {fault.path: fault.code for fault in refusal.faults} if refusal else {}


def test_an_item_may_bring_its_name() -> None:
    """As exactly `{custom_id, inputs}`, beside others that bring none; inputs are converted."""
    validation = a_validation()
    items = validated(
        validation,
        {"custom_id": "row-7", "inputs": {"question": "a", "n": "2"}},
        {"question": "b"},
    )
    assert items == [
        NewItem(0, "row-7", {"question": "a", "n": 2}),
        NewItem(1, None, {"question": "b", "n": 1}),
    ]
    assert faults(validation) == {}


def test_faults_of_a_named_item_are_told_where_they_stand() -> None:
    """The name's and the inputs' at once; an item with a right name keeps it."""
    validation = a_validation()
    named = {"custom_id": "x", "inputs": {"question": 1}}
    misnamed = {"custom_id": 7, "inputs": {"n": "b"}}
    items = validated(validation, named, misnamed)
    assert faults(validation) == {
        "/batch_inputs/0/inputs/question": "type",
        "/batch_inputs/1/custom_id": "custom_id",
        "/batch_inputs/1/inputs/question": "missing",
        "/batch_inputs/1/inputs/n": "type",
    }
    assert [(one.custom_id, one.inputs) for one in items] == [
        ("x", {"question": 1}),
        (None, misnamed),
    ]
    errors = [one.error or {} for one in items]
    assert [error["context"]["faults"][0]["path"] for error in errors] == [
        "/inputs/question",
        "/custom_id",
    ]


@pytest.mark.parametrize("name", ["", "x" * (LONGEST_NAME + 1), 1, True, None, ["x"], {}])
def test_a_name_is_text(name: Any) -> None:
    """Not empty, and not longer than anybody needs."""
    validation = a_validation()
    validated(validation, {"custom_id": name, "inputs": {"question": "a"}})
    assert faults(validation) == {"/batch_inputs/0/custom_id": "custom_id"}


def test_names_are_unique_in_a_batch() -> None:
    """The second of a name is a fault, the third too; the first stands."""
    validation = a_validation()
    one = {"custom_id": "x", "inputs": {"question": "a"}}
    items = validated(validation, one, one, {**one, "custom_id": "y"}, one)
    assert faults(validation) == {
        "/batch_inputs/1/custom_id": "duplicate_custom_id",
        "/batch_inputs/3/custom_id": "duplicate_custom_id",
    }
    assert [item.custom_id for item in items] == ["x", None, "y", None]


@pytest.mark.parametrize("field", ["custom_id", "inputs"])
def test_inputs_that_are_called_so_are_inputs(field: str) -> None:
    """No item of such a signature brings a name; nor does one with more members or fewer."""
    validation = a_validation(f"{field}: string -> a")
    validated(validation, {"custom_id": "x", "inputs": "y"})
    assert [*faults(validation).values()] == ["unknown_field"]
    others = a_validation()
    validated(others, {"custom_id": "x"}, {"custom_id": "x", "inputs": {}, "n": 1})
    assert [*faults(others).values()].count("unknown_field") == 3


def test_an_item_that_could_not_be_read_keeps_its_text() -> None:
    """Its faults are told at its place, and stand in its error."""
    validation = a_validation()
    fault = Fault("/n", "out_of_range", "the number is out of range")
    item = validation(Incoming(0, None, '{"n": 1e999}', "/lines/4", [fault]))
    assert faults(validation) == {"/lines/4/n": "out_of_range"}
    assert (item.custom_id, item.inputs) == (None, '{"n": 1e999}')
    assert (item.error or {})["message"] == "the number is out of range"
