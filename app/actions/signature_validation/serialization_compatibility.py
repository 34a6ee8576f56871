"""Step 6: which targets can hold the signature."""

import asyncio
from typing import Any

from app.actions.signature_validation.step import StepOutcome, Subject, Tools
from app.signatures.definition import Side
from app.signatures.from_json_schema import read_fields
from app.signatures.losses import losses
from app.signatures.serializers import SERIALIZERS, NamedSignature, Serializer, Target

PROVIDERS = (Target.JSON_SCHEMA, Target.OPENAI_FUNCTION, Target.ANTHROPIC_FUNCTION)
"""The targets that the step asks; source text of Python is no wire format."""


async def serialize(subject: Subject, _: Tools) -> StepOutcome:
    """Write both sides for every target; one that holds them is enough."""
    return await asyncio.to_thread(_serialize, subject)


def _serialize(subject: Subject) -> StepOutcome:
    signature = NamedSignature(subject.name, subject.draft.definition)
    compatibility = {name: _tried(SERIALIZERS[name], signature) for name in PROVIDERS}
    compatibility[Target.JSON_SCHEMA]["notes"] += _lost(signature)
    compatible = [name for name in PROVIDERS if compatibility[name]["compatible"]]
    found = {"serialization_compatibility": compatibility, "compatible_targets": compatible}
    return StepOutcome(bool(compatible), found, None if compatible else "no target holds it")


def _tried(write: Serializer, signature: NamedSignature) -> dict[str, Any]:
    sides = [write(signature, side) for side in Side]
    refusals = list(dict.fromkeys(refusal for side in sides for refusal in side.refusals))
    notes = list(dict.fromkeys(note for side in sides for note in side.notes))
    answer: dict[str, Any] = {"compatible": not refusals, "notes": notes}
    return {**answer, "error": "; ".join(refusals)} if refusals else answer


def _lost(signature: NamedSignature) -> list[str]:
    """Say what does not come back when the schemas are read again."""
    write = SERIALIZERS[Target.JSON_SCHEMA]
    inputs, outputs = (read_fields(write(signature, side).document) for side in Side)
    before = signature.definition
    after = type(before)(inputs, outputs, before.instructions)
    return losses(before, after)
