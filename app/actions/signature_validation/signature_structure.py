"""Step 2: inputs and outputs are there and well formed, and no name stands twice."""

from collections.abc import Iterator

from app.actions.signature_validation.step import StepOutcome, Subject, Tools
from app.errors import Fault
from app.signatures.definition import Side
from app.signatures.draft import Draft

OF_TYPES = ("type", "constraints", "default")
"""The members of a field that the next step looks at."""


async def check_structure(subject: Subject, _: Tools) -> StepOutcome:
    """Count the fields and look at everything but their types."""
    draft = subject.draft
    faults = list(_structural(draft))
    twice = [fault for fault in faults if fault.code == "duplicate_name"]
    malformed = [fault for fault in faults if fault.code not in {"duplicate_name", "no_fields"}]
    checks = {
        "has_inputs": bool(draft.inputs),
        "has_outputs": bool(draft.outputs),
        "inputs_format": not _on(Side.INPUTS, malformed),
        "outputs_format": not _on(Side.OUTPUTS, malformed),
        "no_duplicate_names": not twice,
    }
    found = {
        "structure_valid": not faults,
        "input_count": len(draft.inputs),
        "output_count": len(draft.outputs),
        "checks": checks,
    }
    error = "; ".join(fault.message for fault in faults) or None
    return StepOutcome(not faults, found, error)


def _structural(draft: Draft) -> Iterator[Fault]:
    for fault in draft.faults:
        _, _, *steps = fault.path.split("/")
        if steps[1:2] == [] or steps[1] not in OF_TYPES:
            yield fault


def _on(side: Side, faults: list[Fault]) -> list[Fault]:
    return [fault for fault in faults if fault.path.split("/")[1] == side]
