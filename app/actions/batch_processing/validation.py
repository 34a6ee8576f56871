"""Read the items of a batch as they come: each one's name, its inputs, and all that is wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.actions.batch_processing.names import Names
from app.adapters.errors import AdapterError, ErrorType
from app.errors import Fault, InvalidInputsError
from app.signatures.compile import CompiledSignature, ValuesError
from app.signatures.faults import shown
from app.stores.batch_items import NewItem

TOLD_FAULTS = 1_000
"""As many faults of one batch are told; all are counted."""

LONGEST_NAME = 255
"""Characters of a `custom_id`."""

_NAMED = {"custom_id", "inputs"}
"""The members of an item that brings a name."""


class OnInvalid(StrEnum):
    """What becomes of a batch with items that do not fit the signature."""

    REJECT = "reject"
    """Nothing is accepted; every fault is told."""
    RECORD = "record"
    """These items are recorded as failed, the others run."""


@dataclass(frozen=True)
class Incoming:
    """An item as it comes: its index, the client's name of it, and what is to be its inputs.

    Without a name it may still bring one: exactly `{custom_id, inputs}` in place of the inputs,
    unless the signature has inputs that are called so. `at` is its place in the request, a JSON
    Pointer. Where it could not be read, `faults` say why, and the inputs are its text.
    """

    index: int
    custom_id: str | None
    inputs: Any
    at: str
    faults: Sequence[Fault] = ()


class ItemValidation:
    """Validates the items of one batch, one after the other, and keeps what it finds wrong."""

    def __init__(self, compiled: CompiledSignature) -> None:
        self._compiled = compiled
        self._may_be_named = _NAMED.isdisjoint(field.name for field in compiled.definition.inputs)
        self._names = Names()
        self._faults = list[Fault]()
        self.error_count = 0

    def __call__(self, incoming: Incoming) -> NewItem:
        """Give an item to store, with an error and as it came where it is not valid."""
        if incoming.faults:
            self._keep([fault.under(incoming.at) for fault in incoming.faults])
            return NewItem(incoming.index, None, incoming.inputs, _error_of(incoming.faults))
        if self._may_be_named and _brings_name(incoming):
            return self._named_item(incoming)
        return self._item(incoming)

    def refusal(self) -> InvalidInputsError | None:
        """Say what was wrong with the items, if anything."""
        if not self.error_count:
            return None
        return InvalidInputsError(
            f"The items of the batch have {self.error_count} faults.",
            faults=self._faults,
            members={"error_count": self.error_count},
        )

    def _named_item(self, incoming: Incoming) -> NewItem:
        name, inputs = incoming.inputs["custom_id"], incoming.inputs["inputs"]
        fault, at = self._name_fault(name), f"{incoming.at}/inputs"
        if fault is not None:
            self._keep([fault.under(incoming.at)])
            self._item(Incoming(incoming.index, None, inputs, at))  # tells its faults
            return NewItem(incoming.index, None, incoming.inputs, _error_of([fault]))
        return self._item(Incoming(incoming.index, name, inputs, at))

    def _item(self, incoming: Incoming) -> NewItem:
        try:
            inputs: Any = self._compiled.validate_inputs(incoming.inputs)
        except ValuesError as invalid:
            self._keep([fault.under(incoming.at) for fault in invalid.faults])
            error = _error_of([fault.under("/inputs") for fault in invalid.faults])
            return NewItem(incoming.index, incoming.custom_id, incoming.inputs, error)
        return NewItem(incoming.index, incoming.custom_id, inputs)

    def _name_fault(self, name: Any) -> Fault | None:
        if not (isinstance(name, str) and 0 < len(name) <= LONGEST_NAME):
            expected = f"text of 1 to {LONGEST_NAME} characters"
            message = f"custom_id must be {expected}, not {shown(name)}"
            return Fault("/custom_id", "custom_id", message, expected, shown(name))
        if not self._names.is_new(name):
            message = f"another item is called {shown(name)} already"
            return Fault("/custom_id", "duplicate_custom_id", message, received=shown(name))
        return None

    def _keep(self, faults: Sequence[Fault]) -> None:
        self.error_count += len(faults)
        self._faults += faults[: TOLD_FAULTS - len(self._faults)]


def _brings_name(incoming: Incoming) -> bool:
    inputs = incoming.inputs
    return incoming.custom_id is None and isinstance(inputs, dict) and inputs.keys() == _NAMED


def _error_of(faults: Sequence[Fault]) -> dict[str, Any]:
    """Say in an item's record why it did not run."""
    message = "; ".join(fault.message for fault in faults)
    context = {"faults": [fault.as_document() for fault in faults]}
    return AdapterError(ErrorType.VALIDATION_FAILED, message, context=context).as_document()
