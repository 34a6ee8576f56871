"""Step 3: every type is known, and takes its constraints and its default."""

from typing import Any

from app.actions.signature_validation.step import StepOutcome, Subject, Tools
from app.errors import Fault
from app.signatures.definition import Side
from app.signatures.draft import Draft
from app.signatures.types import CONSTRAINED, TYPES
from app.signatures.types.base import FieldType


async def check_types(subject: Subject, _: Tools) -> StepOutcome:
    """Look at each field's type, all of them."""
    draft = subject.draft
    validations = [
        _validation(draft, side, index)
        for side in Side
        for index in range(len(draft.documents(side)))
    ]
    wrong = [found["error"] for found in validations if "error" in found]
    found = {
        "all_types_valid": not wrong,
        "field_validations": validations,
        "supported_types": [*TYPES, CONSTRAINED],
    }
    return StepOutcome(not wrong, found, "; ".join(wrong) or None)


def _validation(draft: Draft, side: Side, index: int) -> dict[str, Any]:
    document = draft.documents(side)[index]
    faults = draft.faults_at(side, index)
    given = document.get("type")
    validation = {
        "field": document.get("name"),
        "side": side,
        "type": given.notation if isinstance(given, FieldType) else given,
        "constraints_valid": not faults,
    }
    return {**validation, "error": _told(faults)} if faults else validation


def _told(faults: list[Fault]) -> str:
    return "; ".join(fault.message for fault in faults)
